//! Paths, patterns, their spellings in other protocols, times and qualities: what is accepted comes back as it went in.

use tidemill_core::{
    Pattern, Quality, SignalPath, escape_rules, format_rfc3339, parse_duration, parse_rfc3339,
};
use tidemill_web::times::{TimeUnit, parse_number, parse_query_time};

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    let path = SignalPath::new(one);
    if let Ok(path) = &path {
        assert_eq!(SignalPath::new(path.as_str()).as_ref(), Ok(path), "a path is its own spelling");
        for rule in escape_rules() {
            let spelled = rule.escape.encode(path);
            assert_eq!(rule.escape.decode(&spelled).as_ref(), Ok(path), "{:?}: {spelled}", rule.escape);
        }
        assert!(Pattern::exactly(path).matches(path));
    }
    for rule in escape_rules() {
        if let Ok(path) = rule.escape.decode(other) {
            assert!(SignalPath::new(path.as_str()).is_ok());
        }
    }
    if let Ok(pattern) = Pattern::new(other) {
        assert_eq!(Pattern::new(pattern.as_str()).as_ref(), Ok(&pattern), "a pattern is its own spelling");
        assert!(pattern.covers(&pattern) && Pattern::everything().covers(&pattern));
        if let Ok(path) = &path {
            assert_eq!(pattern.matches(path), pattern.covers(&Pattern::exactly(path)));
        }
    }
    if let Ok(time) = parse_rfc3339(one) {
        let mut spelled = String::new();
        format_rfc3339(time, &mut spelled);
        assert_eq!(parse_rfc3339(&spelled), Ok(time), "{spelled}");
    }
    let _ = parse_query_time(one, Some(TimeUnit::Seconds), 1_700_000_000_000_000_000);
    let _ =
        (parse_query_time(one, None, i64::MAX), parse_duration(one), parse_number(one, TimeUnit::Seconds));
    if let Ok(quality) = Quality::parse(one) {
        assert_eq!(
            u8::from(quality.is_good()) + u8::from(quality.is_uncertain()) + u8::from(quality.is_bad()),
            1
        );
    }
}
