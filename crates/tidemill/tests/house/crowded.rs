//! A plant to which the system gives no more descriptors: who comes is told so, the owner gets in, and the log stays short.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::plant::{PATIENCE, Plant};

/// A connection that stays, and the answer to a first request on it.
fn asked(plant: &Plant) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(plant.address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    let is_whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
        let head = text.find("\r\n\r\n").map(|end| end + 4);
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        head.zip(length).is_some_and(|(head, length): (usize, usize)| answer.len() >= head + length)
    };
    while !is_whole(&answer) {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    (stream, String::from_utf8_lossy(&answer).to_ascii_lowercase())
}

/// Allows the plant so many descriptors more than it has.
fn allow_more(plant: &Plant, more: usize) {
    let id = i32::try_from(plant.process.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
    let open = std::fs::read_dir(format!("/proc/{}/fd", plant.process.id())).expect("our own process");
    let taken: Vec<u64> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The limit is a number that none reaches; some below it may be free.
    let limit = (0..).filter(|number| !taken.contains(number)).nth(more);
    prlimit(Some(id), Resource::Nofile, Rlimit { current: limit, maximum: limit }).expect("our own process");
}

#[test]
fn without_descriptors_who_comes_is_told_and_the_owner_gets_in() {
    let mut plant = Plant::start();
    plant.ok(&["write", "press/t", "1"]);
    allow_more(&plant, 12);
    let mut held = Vec::new();
    let refusal = loop {
        let (stream, answer) = asked(&plant);
        if !answer.starts_with("http/1.1 200 ") {
            break answer;
        }
        held.push(stream);
        assert!(held.len() < 100, "it has more descriptors than it may have");
    };
    for part in ["http/1.1 503 ", "retry-after: 1", "connection: close", "\"code\":\"busy\"", "limitnofile="]
    {
        assert!(refusal.contains(part), "no '{part}': {refusal}");
    }
    for _ in 0..20 {
        assert!(asked(&plant).1.starts_with("http/1.1 503 "));
    }
    let line = plant.process.log_line("http.accept_failed");
    assert!(line.contains("WARN") && line.contains("times=1"), "{line}");
    let told = |plant: &mut Plant| {
        plant.process.log_so_far().iter().filter(|line| line.contains("http.accept_failed")).count()
    };
    assert_eq!(told(&mut plant), 1, "the log is for other things too");
    plant.ok(&["write", "press/t", "2"]);
    assert!(plant.ok(&["signals"]).contains("press/t"));
    // Who goes leaves room.
    drop(held);
    let until = Instant::now() + PATIENCE;
    while !asked(&plant).1.starts_with("http/1.1 200 ") {
        assert!(Instant::now() < until, "nobody gets in again");
    }
    assert!(told(&mut plant) <= 2, "the control socket may tell of it once too");
}
