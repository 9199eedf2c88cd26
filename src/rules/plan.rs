//! What may be said about a request before its status is known.

use std::sync::Arc;

use http::HeaderMap;

use super::{
    Delivery, Ended, FinishPoint, Level, Meaning,
    condition::Question,
    meaning::{EntityIdFrom, Pointer},
    status::StatusSet,
};

/// How much of a JSON body is looked at for an id or an account that is not kept.
pub const SCAN_BYTES: usize = 16 * 1024;

/// Which candidates of a plan the head of a request allows.
///
/// Made once, when the request starts: the headers are gone when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    // One bit per question of the plan; only sets of more than 64 questions allocate.
    first: u64,
    more: Option<Box<[u64]>>,
}

impl Mask {
    fn has(&self, bit: usize) -> bool {
        let word = match bit / 64 {
            0 => Some(&self.first),
            word => self.more.as_ref().and_then(|more| more.get(word - 1)),
        };
        word.is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

/// The candidates of a route and method, in order: the rules that can match under some status and
/// head, then the convention.
///
/// Everything that must be known before the handler runs (delivery, bodies, finish point) is the
/// union over the candidates that the head allows; the status then picks one of them.
#[derive(Debug)]
pub struct Plan {
    candidates: Box<[Candidate]>,
    questions: Box<[Question]>,
    is_none: bool,
    /// What holds for every head, where nothing is asked of it.
    needs: Option<Needs>,
}

/// What must be known before the handler runs.
#[derive(Debug, Clone, Copy)]
struct Needs {
    none: bool,
    request_body: Option<usize>,
    response_body: Option<usize>,
    scan_id: bool,
    finish: FinishPoint,
    delivery: Delivery,
}

#[derive(Debug)]
pub(super) struct Candidate {
    /// The bit of the question that the head must answer with yes.
    pub(super) question: Option<usize>,
    pub(super) status: StatusSet,
    /// The endings of the convention's reading that the meaning took from, where it has several.
    pub(super) reading: Option<StatusSet>,
    pub(super) meaning: Meaning,
    pub(super) finish: FinishPoint,
    pub(super) max_request_body: usize,
    pub(super) max_response_body: usize,
    pub(super) id_from_response: bool,
}

impl Candidate {
    fn takes(&self, ended: &Ended) -> bool {
        self.status.contains(ended)
            && self.reading.as_ref().is_none_or(|reading| reading.contains(ended))
    }

    fn takes_success(&self) -> bool {
        self.status.takes_success() && self.reading.as_ref().is_none_or(StatusSet::takes_success)
    }

    fn takes_every_ending(&self) -> bool {
        self.status.is_any() && self.reading.is_none()
    }
}

impl Plan {
    pub(super) fn new(candidates: Vec<Candidate>, questions: Vec<Question>) -> Self {
        let mut plan = Self {
            is_none: candidates.iter().all(|c| c.meaning.level == Level::None),
            candidates: candidates.into(),
            questions: questions.into(),
            needs: None,
        };
        if !plan.asks() {
            let mask = Mask::default();
            plan.needs = Some(Needs {
                none: plan.is_none_for(&mask),
                request_body: plan.request_body(&mask),
                response_body: plan.response_body(&mask),
                scan_id: plan.scan_id(&mask),
                finish: plan.finish(&mask),
                delivery: plan.delivery(&mask),
            });
        }
        plan
    }

    /// Says whether no ending can make a record: the request passes untouched.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.is_none
    }

    /// Asks the head of a request which candidates stay.
    ///
    /// `path` is the raw path as the client sent it, without query.
    #[must_use]
    pub fn applicable(&self, headers: &HeaderMap, host: Option<&str>, path: &str) -> Mask {
        if self.questions.is_empty() {
            return Mask::default();
        }
        let mut words = vec![0u64; 0];
        let mut first = 0;
        for (bit, question) in self.questions.iter().enumerate() {
            if !question.answer(headers, host, path) {
                continue;
            }
            match bit / 64 {
                0 => first |= 1 << bit,
                word => {
                    words.resize(words.len().max(word), 0);
                    words[word - 1] |= 1 << (bit % 64);
                }
            }
        }
        let more = (!words.is_empty()).then(|| words.into());
        Mask { first, more }
    }

    /// Says whether anything is asked of the head.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Returns the candidates that the head allows, down to the one that takes every ending.
    fn allowed<'a>(&'a self, mask: &'a Mask) -> impl Iterator<Item = &'a Candidate> {
        let mut done = false;
        self.candidates.iter().filter(|c| c.question.is_none_or(|bit| mask.has(bit))).take_while(
            move |c| {
                let go_on = !done;
                done |= c.takes_every_ending();
                go_on
            },
        )
    }

    fn recorded<'a>(&'a self, mask: &'a Mask) -> impl Iterator<Item = &'a Candidate> {
        self.allowed(mask).filter(|c| c.meaning.level != Level::None)
    }

    /// Says whether this head leaves no candidate that makes a record.
    #[must_use]
    pub fn is_none_for(&self, mask: &Mask) -> bool {
        match self.needs {
            Some(needs) => needs.none,
            None => self.is_none || self.recorded(mask).next().is_none(),
        }
    }

    /// Returns the strictest delivery class among the candidates.
    #[must_use]
    pub fn delivery(&self, mask: &Mask) -> Delivery {
        if let Some(needs) = self.needs {
            return needs.delivery;
        }
        self.recorded(mask).map(|c| c.meaning.delivery).max().unwrap_or_default()
    }

    /// Returns how many bytes of the request body to keep until the status is known: for a
    /// candidate's level, or for a pointer into the body.
    ///
    /// The record keeps them only if the level of the meaning that wins says so.
    #[must_use]
    pub fn request_body(&self, mask: &Mask) -> Option<usize> {
        if let Some(needs) = self.needs {
            return needs.request_body;
        }
        self.recorded(mask)
            .filter_map(|c| {
                let kept = c.meaning.level.keeps_request().then_some(c.max_request_body);
                let id = |from: &EntityIdFrom| matches!(from, EntityIdFrom::Request(_));
                let looked = id(&c.meaning.entity_id)
                    || c.meaning.related.iter().any(|r| id(&r.id))
                    || !c.meaning.attempted_account.is_empty();
                kept.max(looked.then_some(SCAN_BYTES))
            })
            .max()
    }

    /// Returns how many bytes of the response body to keep until the end: for a candidate's
    /// level, or for a pointer into the body.
    #[must_use]
    pub fn response_body(&self, mask: &Mask) -> Option<usize> {
        if let Some(needs) = self.needs {
            return needs.response_body;
        }
        self.recorded(mask)
            .filter_map(|c| {
                let kept = c.meaning.level.keeps_response().then_some(c.max_response_body);
                let id = |from: &EntityIdFrom| matches!(from, EntityIdFrom::Response(_));
                let looked =
                    id(&c.meaning.entity_id) || c.meaning.related.iter().any(|r| id(&r.id));
                kept.max(looked.then_some(SCAN_BYTES))
            })
            .max()
    }

    /// Says whether a JSON answer of up to [`SCAN_BYTES`] is scanned in passing for the id of a
    /// created thing (`/id`, `/uuid`, `/data/id`).
    #[must_use]
    pub fn scan_id(&self, mask: &Mask) -> bool {
        if let Some(needs) = self.needs {
            return needs.scan_id;
        }
        self.recorded(mask)
            .any(|c| c.id_from_response && c.meaning.entity_id == EntityIdFrom::Created)
    }

    /// Returns the finish point: the latest that a candidate names, else the default.
    #[must_use]
    pub fn finish(&self, mask: &Mask) -> FinishPoint {
        if let Some(needs) = self.needs {
            return needs.finish;
        }
        self.recorded(mask).map(|c| c.finish).max().unwrap_or_default()
    }

    /// Returns the pointers into the request body where an account may be named, in order.
    #[must_use]
    pub fn account_pointers(&self, mask: &Mask) -> Arc<[Pointer]> {
        let mut lists = self
            .recorded(mask)
            .map(|c| &c.meaning.attempted_account)
            .filter(|list| !list.is_empty());
        match (lists.next(), lists.next()) {
            (None, _) => Arc::from([]),
            (Some(only), None) => Arc::clone(only),
            (Some(first), Some(second)) => {
                let mut all: Vec<Pointer> = first.to_vec();
                for pointer in second.iter().chain(lists.flat_map(|list| list.iter())) {
                    if !all.contains(pointer) {
                        all.push(pointer.clone());
                    }
                }
                all.into()
            }
        }
    }

    /// Returns what a request means as long as nobody knows how it ends.
    ///
    /// The candidate that takes any ending, else the first that a success can lead to. Nothing where only
    /// refusals, failures and panics make a record: such a request is no operation that must be known of
    /// before it is tried.
    #[must_use]
    pub fn foreseen(&self, mask: &Mask) -> Option<&Meaning> {
        self.decide(mask, &Ended::default()).or_else(|| {
            // As `recorded`, which would borrow the mask for as long as the answer.
            self.candidates
                .iter()
                .filter(|c| c.question.is_none_or(|bit| mask.has(bit)))
                .find(|c| c.meaning.level != Level::None && c.takes_success())
                .map(|c| &c.meaning)
        })
    }

    /// Picks the meaning: the first candidate that the head allowed and the ending fits.
    ///
    /// Nothing, or a rule that says `none`, makes no record.
    #[must_use]
    pub fn decide(&self, mask: &Mask, ended: &Ended) -> Option<&Meaning> {
        self.candidates
            .iter()
            .filter(|c| c.question.is_none_or(|bit| mask.has(bit)))
            .find(|c| c.takes(ended))
            .map(|c| &c.meaning)
            .filter(|meaning| meaning.level != Level::None)
    }
}
