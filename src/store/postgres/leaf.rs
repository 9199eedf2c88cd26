//! The names of leaves, as `activity.leaf_name` makes them.

use sha2::{Digest as _, Sha256};

use crate::{record::hex, time::Month};

/// Longer classes are named by their digest: identifiers end at 63 bytes.
const PLAIN_BYTES: usize = 32;

/// Returns the name of the leaf of a month and retention class, without the schema.
///
/// Consists of lower-case letters, digits and underscores, whatever the class holds.
pub(super) fn leaf_name(month: Month, class: &str) -> String {
    let mut name = format!("records_{month}_").replace('-', "_");
    let plain = (1..=PLAIN_BYTES).contains(&class.len())
        && !class.starts_with("x_")
        && class.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if plain {
        name.push_str(class);
    } else {
        name.push_str("x_");
        name.push_str(&hex(&Sha256::digest(class)[..16]));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_class_is_part_of_the_name_and_any_other_is_hashed() {
        let month = Month::from_index(2026 * 12);
        assert_eq!(leaf_name(month, "activity"), "records_2026_01_activity");
        for class in ["", "x_1", "A", "a\"b", "ä", &"a".repeat(33)] {
            let name = leaf_name(month, class);
            assert!(name.starts_with("records_2026_01_x_") && name.len() == 50, "{name}");
        }
    }
}
