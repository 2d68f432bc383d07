//! Readers that look at what they have and take the rest later, as the plant goes on. What they hold meanwhile, and that
//! their answers go on, is tested in the historian.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::plant::Plant;

#[test]
fn a_reader_that_pauses_does_not_hold_up_the_plants_stop() {
    let plant = Plant::start();
    let token = plant.token("anna", &["read:#"]);
    let query = r#"{"query": "SELECT value, repeat('x', 1000) AS text FROM generate_series(1, 100000)"}"#;
    let request = plant.post("/api/v1/sql?format=csv").token(&token).body("application/json", query);
    let mut stream = TcpStream::connect(plant.address).expect("it listens");
    request.write_to(&mut stream).expect("it is sent");
    let mut head = [0; 1_000];
    stream.read_exact(&mut head).expect("it has begun");
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    while plant.sql("SELECT count(*) FROM sys.queries WHERE state = 'idle'") != serde_json::json!([[1]]) {}
    let begun = Instant::now();
    plant.stop();
    assert!(begun.elapsed() < Duration::from_secs(30), "it stopped after {:?}", begun.elapsed());
}
