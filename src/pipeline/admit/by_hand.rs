//! Hiding in records by hand and of other services what capture hides in those of requests: sessions,
//! credentials and addresses.

use crate::{
    pipeline::{core::Privacy, tally::category_index},
    privacy::{AddressPolicy, KeptAddress, Keys, truncate},
    record::{Address, Record, Text},
};

/// Leaves of sessions and credentials a keyed hash, and of the address what the policy allows.
pub(super) fn hide(privacy: &Privacy, record: &mut Record) {
    let keys = privacy.keys.as_ref();
    let tenant = record.tenant_id.as_option();
    pseudonymise(&mut record.session_id, Keys::SESSION, tenant, keys);
    pseudonymise(&mut record.credential_id, Keys::CREDENTIAL, tenant, keys);
    let policy = privacy.addresses[category_index(record.category)];
    if let Some(address) = record.ip.take() {
        let kept = keep(policy, address, tenant, keys);
        record.ip = kept.network.map(|(ip, prefix)| Address::truncated(ip, prefix));
        if let Some(pseudonym) = kept.pseudonym {
            record.ip_pseudonym = pseudonym.into();
        }
    }
    // Whatever else stands there may be the address itself.
    if !Keys::is_pseudonym(&record.ip_pseudonym) {
        record.ip_pseudonym.clear();
    }
    // The chain holds the address too: it is kept only where the address is.
    if policy != AddressPolicy::Full {
        record.forwarded.clear();
    }
}

/// The id itself goes no further than this; without keys nothing is left of it.
fn pseudonymise(text: &mut Text, purpose: &str, tenant: Option<&str>, keys: Option<&Keys>) {
    let raw = text.trim();
    if raw.is_empty() {
        text.clear();
    } else if !Keys::is_pseudonym(raw) {
        let pseudonym = keys.map(|keys| keys.pseudonym(purpose, tenant, raw));
        *text = pseudonym.into();
    } else if raw.len() < text.len() {
        *text = raw.into();
    }
}

/// As the policy, for addresses of which the sender may have sent a part only.
fn keep(
    policy: AddressPolicy,
    address: Address,
    tenant: Option<&str>,
    keys: Option<&Keys>,
) -> KeptAddress {
    if address.is_whole() {
        return policy.apply(address.ip(), tenant, keys);
    }
    let network = match policy {
        AddressPolicy::Full => Some((address.ip(), address.prefix())),
        AddressPolicy::Truncate => {
            let (ip, prefix) = truncate(address.ip());
            Some((ip, prefix.min(address.prefix())))
        }
        // The pseudonym of a network would be compared with those of addresses.
        AddressPolicy::Hmac | AddressPolicy::None => None,
    };
    KeptAddress { network, pseudonym: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        privacy::{KeySet, Redactor},
        record::Json,
    };

    fn privacy(policy: AddressPolicy, keys: Option<Keys>) -> Privacy {
        Privacy {
            redactor: Redactor::default(),
            extra_keys: KeySet::default(),
            keys,
            addresses: [policy; 5],
        }
    }

    fn record(ip: &str) -> Record {
        let mut record = Record::by("ana").tenant("acme").updated("order", "55");
        record.session_id.set(" raw-session ");
        record.credential_id.set("raw-credential");
        record.ip = Some(ip.parse().unwrap());
        record.forwarded = Json::from_stored(r#"["192.0.2.7"]"#);
        record
    }

    #[test]
    fn sessions_and_credentials_are_kept_as_pseudonyms_or_not_at_all() {
        let keys = Keys::ephemeral();
        let mut kept = record("192.0.2.7");
        hide(&privacy(AddressPolicy::Full, Some(keys.clone())), &mut kept);
        let session = keys.pseudonym(Keys::SESSION, Some("acme"), "raw-session");
        assert_eq!(kept.session_id, *session);
        assert_eq!(
            kept.credential_id,
            *keys.pseudonym(Keys::CREDENTIAL, Some("acme"), "raw-credential")
        );
        // What is a pseudonym already stays what it is.
        hide(&privacy(AddressPolicy::Full, Some(Keys::ephemeral())), &mut kept);
        assert_eq!(kept.session_id, *session);
        let mut left_out = record("192.0.2.7");
        hide(&privacy(AddressPolicy::Full, None), &mut left_out);
        assert!(left_out.session_id.is_absent() && left_out.credential_id.is_absent());
    }

    #[test]
    fn of_an_address_no_more_is_kept_than_the_policy_allows() {
        for (policy, sent, kept) in [
            (AddressPolicy::Full, "192.0.2.7", Some("192.0.2.7")),
            (AddressPolicy::Full, "192.0.2.0/24", Some("192.0.2.0/24")),
            (AddressPolicy::Truncate, "192.0.2.7", Some("192.0.2.0/24")),
            (AddressPolicy::Truncate, "192.0.2.16/28", Some("192.0.2.0/24")),
            (AddressPolicy::Truncate, "192.0.0.0/16", Some("192.0.0.0/16")),
            (AddressPolicy::Hmac, "192.0.2.7", None),
            (AddressPolicy::Hmac, "192.0.2.0/24", None),
            (AddressPolicy::None, "192.0.2.7", None),
        ] {
            let mut record = record(sent);
            record.ip_pseudonym.set("192.0.2.7");
            hide(&privacy(policy, Some(Keys::ephemeral())), &mut record);
            let ip = record.ip.map(|ip| ip.to_string());
            assert_eq!(ip.as_deref(), kept, "{policy} {sent}");
            assert_eq!(record.forwarded.is_absent(), policy != AddressPolicy::Full);
            let hashed = policy == AddressPolicy::Hmac && sent == "192.0.2.7";
            assert_eq!(Keys::is_pseudonym(&record.ip_pseudonym), hashed);
            assert_ne!(record.ip_pseudonym, "192.0.2.7");
        }
    }
}
