//! The order of stopping, who is late, and what a panic does. Threads wait for each other by channels and by `Stop`
//! itself; no test sleeps.

use super::*;
use std::sync::mpsc;

const LONG: Duration = Duration::from_secs(60);

fn tasks() -> (Metrics, Tasks) {
    let metrics = Metrics::new();
    (metrics.clone(), Tasks::new(&metrics))
}

#[test]
fn doors_stop_first_and_the_log_last() {
    let (metrics, tasks) = tasks();
    let (say, said) = mpsc::channel();
    for (name, phase) in [("log", Phase::Log), ("engine", Phase::Engines), ("door", Phase::Doors)] {
        let (say, house) = (say.clone(), tasks.clone());
        let after: Vec<Phase> = Phase::ALL.into_iter().filter(|later| *later > phase).collect();
        tasks
            .spawn(name, phase, move |stop| {
                assert!(stop.wait(LONG));
                let others_go_on = after.into_iter().all(|later| !house.stop(later).requested());
                say.send((name, others_go_on)).unwrap();
            })
            .unwrap();
    }
    assert!(metrics.render().contains("tidemill_tasks_running 3\n"));
    assert_eq!(tasks.running().len(), 3);

    let report = tasks.shutdown(LONG);
    assert!(report.is_clean(), "{report:?}");
    let order: Vec<_> = said.try_iter().collect();
    assert_eq!(order, [("door", true), ("engine", true), ("log", true)]);
    assert!(metrics.render().contains("tidemill_tasks_running 0\n"));
    assert!(tasks.running().is_empty());
}

#[test]
fn who_is_late_is_named_and_costs_the_others_nothing() {
    let (_, tasks) = tasks();
    let (release, held) = mpsc::channel::<()>();
    tasks.spawn("stuck door", Phase::Doors, move |_| held.recv().map_or((), |()| ())).unwrap();
    tasks.spawn("log", Phase::Log, |stop| stop.wait_for_stop()).unwrap();
    let report = tasks.shutdown(Duration::from_millis(400));
    assert_eq!(report.late, [(Phase::Doors, "stuck door".to_owned())]);
    assert!(!report.is_clean());
    drop(release);
    assert!(tasks.shutdown(LONG).is_clean(), "it ended after all");
}

#[test]
fn a_panic_is_caught_counted_and_reported_by_name() {
    let (metrics, tasks) = tasks();
    let (say, said) = mpsc::channel();
    tasks.on_panic(move |panic| say.send(panic.clone()).unwrap());
    let text = String::from("segment 7");
    tasks.spawn("merge", Phase::Engines, move |_| panic!("no {text}")).unwrap();
    let told = said.recv_timeout(LONG).unwrap();
    assert_eq!(told, Panic { task: "merge".to_owned(), message: "no segment 7".to_owned() });
    tasks.spawn("merge", Phase::Engines, |_| panic!("plain")).unwrap();
    assert_eq!(said.recv_timeout(LONG).unwrap().message, "plain");

    let report = tasks.shutdown(LONG);
    assert!(report.late.is_empty());
    assert_eq!(report.panics.len(), 2);
    assert!(metrics.render().contains("tidemill_task_panics_total{task=\"merge\"} 2\n"));
}

#[test]
fn only_the_last_panics_are_remembered() {
    let (_, tasks) = tasks();
    for number in 0..PANICS_MAX + 3 {
        let (gone, waits) = mpsc::channel::<()>();
        tasks
            .spawn("many", Phase::Doors, move |_| {
                let _gone = gone;
                std::panic::resume_unwind(Box::new(number.to_string()))
            })
            .unwrap();
        waits.recv().unwrap_err();
    }
    let panics = tasks.shutdown(LONG).panics;
    assert_eq!(panics.len(), PANICS_MAX);
}

#[test]
fn nothing_starts_in_a_phase_that_stops() {
    let (_, tasks) = tasks();
    tasks.shutdown(LONG);
    let error = tasks.spawn("late", Phase::Doors, |_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "task late was not started: the doors are already stopping; start it before the shutdown begins"
    );
}

#[test]
fn a_task_may_shut_the_house_down_itself() {
    let (_, tasks) = tasks();
    let (say, said) = mpsc::channel();
    let house = tasks.clone();
    tasks.spawn("signals", Phase::Doors, move |_| say.send(house.shutdown(LONG)).unwrap()).unwrap();
    tasks.spawn("log", Phase::Log, |stop| stop.wait_for_stop()).unwrap();
    assert!(said.recv_timeout(LONG).unwrap().is_clean());
}

#[test]
fn callbacks_pass_the_word_on_once_and_also_late() {
    let (_, tasks) = tasks();
    let stop = tasks.stop(Phase::Doors);
    let (say, said) = mpsc::channel();
    let before = say.clone();
    stop.on_stop(|| panic!("one callback must not keep the word from the next"));
    stop.on_stop(move || before.send("before").unwrap());
    assert!(!stop.wait(Duration::ZERO));
    assert_eq!(said.try_recv().ok(), None);
    tasks.shutdown(LONG);
    tasks.shutdown(LONG);
    stop.on_stop(move || say.send("after").unwrap());
    assert_eq!(said.iter().collect::<Vec<_>>(), ["before", "after"]);
    assert!(stop.wait(LONG));
}
