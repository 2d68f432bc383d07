//! Rights and tokens as people write them: read without a panic, and a right means the same after it is written down.

use tidemill_guard::{Right, check_token};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = check_token(text);
    if let Ok(right) = Right::parse(text) {
        let spelled = right.to_string();
        let again = Right::parse(&spelled).expect("what we write we read");
        assert_eq!(again.to_string(), spelled);
    }
}
