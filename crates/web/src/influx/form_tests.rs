//! Forms as clients send them to `/query`, whole and broken.

use proptest::prelude::*;

use super::*;

fn read(kind: &str, body: &[u8]) -> Result<Option<String>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    field(&headers, body, "q").map_err(|problem| problem.detail)
}

#[test]
fn a_part_is_found_among_others_however_it_is_quoted() {
    // As curl 7.88 sends `-F db=a -F 'q=<file' -F u=x`.
    let body = "--------------------------d7\r\nContent-Disposition: form-data; name=\"db\"\r\n\r\na\r\n\
                --------------------------d7\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nSHOW\r\nDATABASES\r\n\
                --------------------------d7\r\nContent-Disposition: form-data; name=\"u\"\r\n\r\n--x\r\n\
                --------------------------d7--\r\n";
    let told = Ok(Some("SHOW\r\nDATABASES".to_owned()));
    for kind in [
        "multipart/form-data; boundary=------------------------d7",
        "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"------------------------d7\"",
    ] {
        assert_eq!(read(kind, body.as_bytes()), told);
    }
    let other = body.replace("name=\"q\"", "name=\"p\"");
    let kind = "multipart/form-data; boundary=------------------------d7";
    assert_eq!(read(kind, other.as_bytes()), Ok(None));
    let twice = body.replace("name=\"u\"", "name=q");
    for (kind, body, part) in [
        (kind, twice.as_str(), "stands twice"),
        (kind, body.trim_end_matches("--\r\n"), "no end"),
        (kind, "", "no end"),
        ("multipart/form-data", body, "boundary"),
    ] {
        assert!(read(kind, body.as_bytes()).is_err_and(|told| told.contains(part)), "{part}");
    }
    let long = format!("multipart/form-data; boundary={}", "-".repeat(BOUNDARY_MAX + 1));
    assert!(read(&long, b"").is_err_and(|told| told.contains("boundary")));
    let many = "--b\r\n\r\n\r\n".repeat(PARTS_MAX + 1) + "--b--";
    assert!(read("multipart/form-data; boundary=b", many.as_bytes()).is_err());
    assert_eq!(read("application/x-www-form-urlencoded", b"db=a&q=SHOW+X"), Ok(Some("SHOW X".into())));
}

proptest! {
    #[test]
    fn no_body_panics(body in "(--b|--|\r\n|\r\n\r\n|Content-Disposition: form-data|; name=|q|\"|;|=|ä){0,30}") {
        let _ = read("multipart/form-data; boundary=b", body.as_bytes());
    }
}
