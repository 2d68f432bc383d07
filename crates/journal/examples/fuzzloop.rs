#![allow(warnings)]
#[path = "../../../fuzz/src/journal.rs"]
mod journal;
#[path = "../../../fuzz/src/survival.rs"]
mod survival;
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let kind: u8 = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut s: u64 = std::env::args().nth(3).map_or(1, |x| x.parse().unwrap());
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        s
    };
    let t = std::time::Instant::now();
    for i in 0..n {
        let len = 20 + next() as usize % 300;
        let mut d: Vec<u8> = (0..len).map(|_| (next() >> 32) as u8).collect();
        d[0] = kind;
        let keep = d.clone();
        let r = std::panic::catch_unwind(|| journal::run(&d));
        if r.is_err() {
            std::fs::write("/tmp/exp/crash.bin", &keep).unwrap();
            println!("fail at {i}");
            return;
        }
    }
    println!("{n} runs, {:.0} a second", n as f64 / t.elapsed().as_secs_f64());
}
