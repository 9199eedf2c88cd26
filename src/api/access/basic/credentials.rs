//! `Authorization: Basic …`, read strictly.

use base64::{Engine as _, alphabet::STANDARD, engine};
use http::{header::AUTHORIZATION, request::Parts};

/// Nobody's name and password are longer together; more is not even decoded.
const LONGEST: usize = 1_024;

/// Some clients leave the padding out.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// What somebody says he is called, and his password.
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: String,
}

impl Credentials {
    /// Reads them; `None` when there are none, or none that can be read. Two headers are none: which of
    /// them somebody in between has looked at cannot be told.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let mut lines = parts.headers.get_all(AUTHORIZATION).iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
        let token = token.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("basic") || token.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        if text.contains(char::is_control) {
            return None;
        }
        Some(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Option<(String, String)> {
        let mut request = http::Request::builder();
        for line in lines {
            request = request.header(AUTHORIZATION, *line);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        Credentials::of(&parts).map(|read| (read.name, read.password))
    }

    #[test]
    fn credentials_are_read_as_rfc_7617_says() {
        let is = |line: &str, name: &str, password: &str| {
            let expected = Some((name.to_owned(), password.to_owned()));
            assert_eq!(read(&[line.as_bytes()]), expected, "{line}");
        };
        is("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame");
        is("basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Aladdin", "open sesame");
        is("Basic dGVzdDoxMjPCow==", "test", "123£");
        is("Basic YTpiOmM=", "a", "b:c");
        is("Basic Og==", "", "");
    }

    #[test]
    fn whatever_else_is_sent_is_nothing() {
        let long = format!("Basic {}", "QUFB".repeat(400));
        for lines in [
            &[][..],
            &[b"Basic".as_slice()],
            &[b"Basic "],
            &[b"Basic QWxhZGRpbg=="],
            &[b"Basic !!!!"],
            &[b"Basic YQA6Yg=="],
            &[b"Basic //46Yg=="],
            &[b"Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            &[b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", b"Basic YTpi"],
            &[b"Basic \xff"],
            &[long.as_bytes()],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
