use std::{collections::HashSet, error::Error as _, fs, thread};

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_missing_file_is_made_and_read_again() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    let made = Keys::open(&path).unwrap();
    let read = Keys::open(&path).unwrap();
    assert_eq!(
        made.pseudonym(Keys::SESSION, None, "abc"),
        read.pseudonym(Keys::SESSION, None, "abc")
    );
    assert_eq!(made.cursor_key(), read.cursor_key());
    assert_eq!(made.signing_seed(), read.signing_seed());
    assert_ne!(made.cursor_key(), made.signing_seed());
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left beside the file");
}

#[test]
fn processes_that_start_together_end_with_the_same_keys() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    let start = std::sync::Barrier::new(8);
    let found: HashSet<String> = thread::scope(|scope| {
        let open = || {
            start.wait();
            Keys::open(&path).unwrap().pseudonym(Keys::SESSION, None, "abc")
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(found.len(), 1);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_refused_with_the_way_out() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o644, 0o604, 0o622, 0o666, 0o602, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Keys::open(&path).unwrap_err();
        assert_eq!(error.kind(), KeysErrorKind::Exposed);
        assert!(error.to_string().contains(&format!("`chmod 600 {}`", path.display())), "{error}");
    }
    for mode in [0o600, 0o400, 0o440, 0o640] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Keys::open(&path).unwrap();
    }
}

#[test]
fn a_damaged_file_is_refused_and_no_key_is_shown() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let check = |text: &str, kind: KeysErrorKind| {
        fs::write(&path, text).unwrap();
        let error = Keys::open(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        let shown = format!("{error} {error:?} {:?}", error.source());
        for word in good.split_ascii_whitespace().filter(|word| word.len() == 64) {
            assert!(!shown.contains(&word[..16]), "{shown}");
        }
    };
    // Cut anywhere but at the last line break, it is not a key file.
    for end in 0..good.len() - 1 {
        check(&good[..end], KeysErrorKind::Malformed);
    }
    let digit = good.rfind(|c: char| c.is_ascii_hexdigit()).unwrap();
    let other = if &good[digit..=digit] == "0" { "1" } else { "0" };
    check(&format!("{}{other}\n", &good[..digit]), KeysErrorKind::Malformed);
    check(&format!("{good}{}", good.lines().last().unwrap()), KeysErrorKind::Malformed);
    check(&good.replace("cursor", "cursed"), KeysErrorKind::Malformed);
    check(&"#".repeat(100_000), KeysErrorKind::Malformed);
    check(&good.replace("keys 1", "keys 2"), KeysErrorKind::Newer);
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let folder = folder();
    let error = Keys::open(folder.path().join("none/activity.keys")).unwrap_err();
    assert_eq!(error.kind(), KeysErrorKind::Io);
    assert!(error.to_string().contains("make the folder"), "{error}");
    assert!(error.source().is_some());
    let error = Keys::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not a file"), "{error}");
}

#[test]
fn pseudonyms_are_apart_by_purpose_tenant_and_keys() {
    let (keys, others) = (Keys::ephemeral(), Keys::ephemeral());
    let all: HashSet<String> = [
        keys.pseudonym(Keys::SESSION, None, "a"),
        keys.pseudonym(Keys::ACCOUNT, None, "a"),
        keys.pseudonym(Keys::SESSION, Some(""), "a"),
        keys.pseudonym(Keys::SESSION, Some("a"), "a"),
        keys.pseudonym(Keys::SESSION, Some("b"), "a"),
        keys.pseudonym("sessiona", None, ""),
        keys.pseudonym("", None, "sessiona"),
        others.pseudonym(Keys::SESSION, None, "a"),
    ]
    .into();
    assert_eq!(all.len(), 8);
    assert_eq!(keys.pseudonym(Keys::SESSION, None, "a"), keys.pseudonym(Keys::SESSION, None, "a"));
    let long = keys.pseudonym(Keys::ACCOUNT, Some(&"t".repeat(10_000)), &"v".repeat(100_000));
    assert_eq!(long.len(), 55);
    assert!(long.starts_with(&format!("p1.{}.", keys.pseudonym_key_ids().next().unwrap())));
}

#[test]
fn a_pseudonym_stays_what_it_is() {
    // Stored pseudonyms are compared with ones made years later.
    let keys = Keys(Arc::new(Inner {
        current: Epoch::new([7; 32]),
        past: Vec::new(),
        cursor: [8; 32],
        signing: vec![[9; 32]],
    }));
    assert_eq!(
        keys.pseudonym(Keys::SESSION, Some("acme"), "s-1"),
        "p1.e7d37063.H0cXkTb_XmQil8FLG03NEJJpdxo34r0oZZ6LvtyfzVg"
    );
}

#[test]
fn a_search_finds_the_pseudonyms_of_every_epoch() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    let old = Keys::open(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let key = hex(&[7; 32]);
    let line = format!("pseudonym {} {key}\n", key_id(&[7; 32]));
    fs::write(&path, text + &line).unwrap();
    let new = Keys::open(&path).unwrap();
    let before = old.pseudonym(Keys::ACCOUNT, None, "ana");
    let now = new.pseudonym(Keys::ACCOUNT, None, "ana");
    assert_ne!(before, now);
    let all: Vec<_> = new.pseudonyms(Keys::ACCOUNT, None, "ana").collect();
    assert_eq!(all, [now, before]);
}

#[test]
fn debug_shows_no_key() {
    let keys = Keys::ephemeral();
    let shown = format!("{keys:?}");
    assert_eq!(
        shown,
        format!("Keys {{ pseudonym: {:?}, .. }}", [keys.pseudonym_key_ids().next().unwrap()])
    );
}

#[test]
fn base64url_agrees_with_rfc_4648() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg"),
        ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64url(bytes.as_bytes()), text);
    }
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
}

#[test]
fn while_the_signing_key_changes_both_sign() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activity.keys");
    let old = Keys::open(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let other = file::write(&Keys::ephemeral());
    let newer = other.lines().find(|line| line.starts_with("signing")).unwrap();
    std::fs::write(&path, text.replace("signing", &format!("{newer}\nsigning"))).unwrap();
    let keys = Keys::open(&path).unwrap();
    assert_eq!(keys.signing_seeds().len(), 2);
    assert_eq!(keys.signing_seeds()[1], *old.signing_seed());
    assert_ne!(keys.signing_seed(), old.signing_seed());
}

#[test]
fn new_keys_stand_beside_the_old_ones() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    let old = Keys::open(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("cursor", "# of the cursors\ncursor")).unwrap();
    let new = Keys::rotate(&path, &[KeyUse::Pseudonym, KeyUse::Signing]).unwrap();
    let read = Keys::open(&path).unwrap();
    let ids = |keys: &Keys| keys.ids().collect::<Vec<_>>();
    assert_eq!(ids(&new), ids(&read));
    assert_eq!(new.signing_seeds()[1..], *old.signing_seeds());
    assert_ne!(new.signing_seed(), old.signing_seed());
    assert_eq!(new.cursor_key(), old.cursor_key());
    let of_ana = |keys: &Keys| keys.pseudonyms(Keys::ACCOUNT, None, "ana").collect::<Vec<_>>();
    assert_eq!(of_ana(&new)[1..], of_ana(&old));
    assert_eq!(of_ana(&new)[0], new.pseudonym(Keys::ACCOUNT, None, "ana"));
    assert!(
        fs::read_to_string(&path).unwrap().contains("# of the cursors"),
        "what people wrote stays"
    );
    let last = Keys::rotate(&path, &[KeyUse::Cursor]).unwrap();
    assert_ne!(last.cursor_key(), new.cursor_key());
    assert_eq!(last.signing_seeds(), new.signing_seeds());
    assert_eq!(ids(&last).iter().filter(|(_, _, in_use)| *in_use).count(), 3);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside the file");
}

#[test]
fn keys_that_are_changed_by_many_at_once_are_all_kept() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    let start = std::sync::Barrier::new(8);
    let ids: Vec<String> = thread::scope(|scope| {
        let rotate = || {
            start.wait();
            let keys = Keys::rotate(&path, &[KeyUse::Pseudonym]).unwrap();
            keys.pseudonym_key_ids().next().unwrap().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let keys = Keys::open(&path).unwrap();
    let kept: HashSet<&str> = keys.pseudonym_key_ids().collect();
    assert_eq!(kept.len(), 9);
    assert!(ids.iter().all(|id| kept.contains(id.as_str())));
}

#[test]
fn keys_that_cannot_be_changed_stay_as_they_were() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    let none = Keys::rotate(&path, &[KeyUse::Signing]).unwrap_err();
    assert!(none.to_string().contains("does not exist") && !path.exists(), "{none}");
    Keys::open(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("signing", "singing")).unwrap();
    let damaged = Keys::rotate(&path, &[KeyUse::Signing]).unwrap_err();
    assert_eq!(damaged.kind(), KeysErrorKind::Malformed);
    assert_eq!(fs::read_to_string(&path).unwrap(), good.replace("signing", "singing"));
    assert_eq!(
        "nothing".parse::<KeyUse>().unwrap_err().to_string().matches("`nothing`").count(),
        1
    );
}

#[cfg(unix)]
#[test]
fn a_changed_file_is_read_by_whom_it_was_read_before() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    for mode in [0o600, 0o640, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Keys::rotate(&path, &[KeyUse::Signing]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[cfg(unix)]
#[test]
fn a_changed_file_belongs_to_whom_it_belonged_before() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    let own = fs::metadata(&path).unwrap().gid();
    // Only root may give it to any group; whoever else runs this sees that it keeps its own.
    let group = chown(&path, None, Some(own + 1)).map_or(own, |()| own + 1);
    Keys::rotate(&path, &[KeyUse::Signing]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().gid(), group);
}

#[cfg(unix)]
#[test]
fn a_link_stays_one_and_what_it_leads_to_is_changed() {
    let folder = folder();
    let (path, link) = (folder.path().join("activity.keys"), folder.path().join("link"));
    let old = Keys::open(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let new = Keys::rotate(&link, &[KeyUse::Signing]).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(new.signing_seed(), old.signing_seed());
    assert_eq!(Keys::open(&path).unwrap().signing_seeds(), new.signing_seeds());
}

#[test]
fn a_file_that_would_be_too_large_to_be_read_again_stays_as_it_was() {
    let folder = folder();
    let path = folder.path().join("activity.keys");
    Keys::open(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let room = usize::try_from(file::LARGEST).unwrap() - text.len();
    let full = format!("{text}#{}\n", "x".repeat(room - 2));
    fs::write(&path, &full).unwrap();
    Keys::open(&path).expect("it is as large as one may be");
    let refused = Keys::rotate(&path, &[KeyUse::Pseudonym]).unwrap_err();
    assert!(refused.to_string().contains("no room for another key"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), full);
    Keys::rotate(&path, &[KeyUse::Cursor]).expect("that one is replaced");
}
