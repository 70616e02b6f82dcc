//! The plan against a simulated world with its own time: addresses that work, fail, lie or hang, at random.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod world;

use world::{FRESH, Luck, Weather, World};

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![Just(Luck::Good), Just(Luck::Bad), Just(Luck::Either), Just(Luck::Either)]
}

fn weather() -> impl Strategy<Value = Weather> {
    (luck(), luck(), luck(), luck(), luck(), luck(), luck(), luck(), luck()).prop_map(
        |(push, long_poll, ask, inline, delta, repair, snapshot, keys, disk)| Weather {
            push,
            long_poll,
            ask,
            inline,
            delta,
            repair,
            snapshot,
            keys,
            disk,
        },
    )
}

fn best() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Push), Just(Mode::LongPoll), Just(Mode::Poll)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happened before: once the weather is fair, every list becomes current, and push comes back.
    #[test]
    fn any_weather_ends_well_once_it_is_fair(
        weather in prop::collection::vec(weather(), 1..4),
        best in best(),
        lists in 1usize..4,
        have in prop::option::of(1u64..50),
        whole: bool,
        seed: u64,
        steps in 1usize..400,
    ) {
        let mut world = World::new(lists, weather, best, have, whole, seed);
        for n in 0..steps {
            world.step();
            if n % 17 == 16 {
                world.publish();
            }
        }
        for weather in &mut world.weather {
            *weather = Weather::FAIR;
        }
        world.publish();
        prop_assert!(world.run_until(FRESH, |w| w.current() && w.plan.mode() == best && (best != Mode::Push || w.plan.link.push_works())),
            "not current after a day of fair weather: have {:?} of {:?}, mode {:?}", world.have, world.newest, world.plan.mode());
        world.publish();
        prop_assert!(world.run_until(Duration::from_secs(1_800), World::current));
        prop_assert!(world.run_until(Duration::from_secs(1_800), World::settled), "what came last is written");
    }

    /// However quickly changes follow each other and whatever writing them costs: the world asserts the pauses; what came
    /// last is written and loaded, and nothing is written twice.
    #[test]
    fn outputs_keep_their_pauses_and_end_with_what_came_last(
        lists in 1usize..4,
        job in 0.0f64..0.05,
        write in prop_oneof![0.0f64..0.005, 0.0f64..0.05, 0.0f64..2.0],
        reload in prop_oneof![Just(0.0), 0.0f64..0.05, 0.0f64..2.0],
        gaps in prop::collection::vec(prop_oneof![0u64..10, 0u64..400], 1..120),
        seed: u64,
    ) {
        let mut world = World::new(lists, vec![Weather::FAIR], Mode::Push, Some(1), true, seed);
        world.takes = [job, write, reload];
        prop_assert!(world.run_until(Duration::from_secs(60), World::current));
        for gap in gaps {
            world.publish();
            world.run_until(Duration::from_millis(gap), |_| false);
        }
        prop_assert!(world.run_until(Duration::from_secs(20), World::settled), "{:?} written of {:?}", world.written, world.newest);
        prop_assert_eq!(world.idle_writes, 0);
    }

    /// While nothing works, the number of questions stays small.
    #[test]
    fn failure_is_not_answered_by_a_flood(mirrors in 1usize..4, best in best(), seed: u64) {
        let bad = Weather { push: Luck::Bad, long_poll: Luck::Bad, ask: Luck::Bad, ..Weather::FAIR };
        let mut world = World::new(1, vec![bad; mirrors], best, Some(1), true, seed);
        world.run_until(Duration::from_secs(4 * 3_600), |_| false);
        prop_assert!(world.asks < 100, "{} questions in four hours", world.asks);
        prop_assert!(world.asks > 8, "still asking, {} times", world.asks);
    }

    /// Nor is content that is wrong on every way asked for without end.
    #[test]
    fn wrong_content_is_not_asked_for_in_a_loop(mirrors in 1usize..4, have in prop::option::of(1u64..5), seed: u64) {
        let bad = Weather { inline: Luck::Bad, delta: Luck::Bad, repair: Luck::Bad, snapshot: Luck::Bad, ..Weather::FAIR };
        let mut world = World::new(1, vec![bad; mirrors], Mode::Poll, have, true, seed);
        world.run_until(Duration::from_secs(4 * 3_600), |_| false);
        let jobs = world.log.iter().filter(|a| !matches!(a, Action::Ask { .. })).count();
        prop_assert!(jobs < 200 * mirrors, "{jobs} jobs in four hours");
        prop_assert!(jobs > 8, "still trying, {jobs} times");
    }
}

fn fair(weather: Weather) -> World {
    World::new(1, vec![weather], Mode::Push, Some(1), true, 7)
}

#[test]
fn push_falls_back_to_long_poll_then_to_polling_and_comes_back() {
    let mut world = fair(Weather { push: Luck::Bad, ..Weather::FAIR });
    assert!(world.run_until(Duration::from_secs(120), |w| w.plan.mode() == Mode::LongPoll && w.current()));
    world.weather[0].long_poll = Luck::Bad;
    assert!(world.run_until(Duration::from_secs(1_200), |w| w.plan.mode() == Mode::Poll));
    world.publish();
    assert!(world.run_until(Duration::from_secs(1_200), World::current));
    world.weather[0] = Weather::FAIR;
    assert!(world.run_until(Duration::from_secs(2_000), |w| w.plan.mode() == Mode::Push && w.plan.link.push_works()));
}

#[test]
fn a_bad_delta_is_answered_by_repair_then_by_the_snapshot_then_by_another_address() {
    let plan = PlanOptions {
        mirrors: 2,
        lists: vec![ListStart { have: Some(1), whole: true, fresh_for: FRESH, fold_due: false }],
        best: Mode::Push,
        keys_due: Some(FRESH),
        outputs: vec![OutputStart { lists: vec![0], due: false, reload: Some(0) }],
        reloads: vec![false],
        timings: Timings::default(),
        seed: 1,
    };
    let mut plan = Plan::new(plan);
    let at = Duration::from_secs(1);
    plan.on(at, Event::Timer);
    plan.on(at, Event::PushOpened);
    plan.on(at, Event::PushHeard);
    let facts = HeadFacts { serial: 2, snapshot_size: 100_000, fresh_for: FRESH, inline_from: Some(1), restart: false };
    let jobs = |actions: Vec<Action>| -> Vec<Action> {
        actions.into_iter().filter(|a| !matches!(a, Action::Ask { .. } | Action::WriteOutput { .. })).collect()
    };
    let wrong = Event::Job { list: 0, end: JobEnd::Wrong };
    let first = plan.on(at, Event::Head { list: 0, mirror: 0, via: Via::Push, facts });
    assert_eq!(jobs(first), [Action::ApplyInline { list: 0, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchDelta { list: 0, mirror: 0, from: 1, to: 2, at_most: 50_000 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::Repair { list: 0, mirror: 0, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchSnapshot { list: 0, mirror: 0, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchDelta { list: 0, mirror: 1, from: 1, to: 2, at_most: 50_000 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::Repair { list: 0, mirror: 1, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchSnapshot { list: 0, mirror: 1, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [], "keeps what it has");
    assert!(plan.wake() <= at + Duration::from_secs(3), "and tries again");
}

#[test]
fn the_cheaper_of_delta_and_snapshot_is_taken() {
    for (delta, snapshot, expected) in [(60_000, 70_000, "delta"), (70_000, 60_000, "snapshot")] {
        let mut plan = Plan::new(PlanOptions {
            mirrors: 1,
            lists: vec![ListStart { have: Some(1), whole: true, fresh_for: FRESH, fold_due: false }],
            best: Mode::Poll,
            keys_due: Some(FRESH),
            outputs: vec![OutputStart { lists: vec![0], due: false, reload: Some(0) }],
            reloads: vec![false],
            timings: Timings::default(),
            seed: 1,
        });
        plan.on(Duration::ZERO, Event::Timer);
        let facts = HeadFacts { serial: 9, snapshot_size: 100_000, fresh_for: FRESH, inline_from: None, restart: false };
        let head = Event::Head { list: 0, mirror: 0, via: Via::Answer { max_age: None }, facts };
        assert_eq!(plan.on(Duration::ZERO, head), [Action::FetchDelta { list: 0, mirror: 0, from: 1, to: 9, at_most: 50_000 }]);
        let big = plan.on(Duration::ZERO, Event::Job { list: 0, end: JobEnd::TooBig(Some(delta)) });
        assert_eq!(big, [Action::MeasureSnapshot { list: 0, mirror: 0, to: 9 }]);
        let chosen = plan.on(Duration::ZERO, Event::Job { list: 0, end: JobEnd::SnapshotSize(Some(snapshot)) });
        match (expected, &chosen[..]) {
            ("delta", [Action::FetchDelta { at_most, .. }]) => assert_eq!(*at_most, snapshot),
            ("snapshot", [Action::FetchSnapshot { .. }]) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn several_versions_in_quick_succession_are_written_and_reloaded_once() {
    let mut world = fair(Weather::FAIR);
    assert!(world.run_until(Duration::from_secs(60), |w| w.current() && w.reloads == 1));
    world.run_until(Duration::from_secs(10), |_| false);
    let before = world.log.len();
    // Ten versions within a second.
    for _ in 0..10 {
        world.publish();
        world.run_until(Duration::from_millis(100), |_| false);
    }
    world.run_until(Duration::from_secs(10), |_| false);
    assert!(world.current());
    let writes = world.log[before..].iter().filter(|a| matches!(a, Action::WriteOutput { .. })).count();
    assert!((1..=3).contains(&writes), "{writes} writes for ten versions");
    assert!((2..=4).contains(&world.reloads));
}

#[test]
fn what_is_cheap_to_write_is_written_at_once_every_time() {
    let mut world = fair(Weather::FAIR);
    world.takes = [0.001, 0.005, 0.0];
    assert!(world.run_until(Duration::from_secs(60), |w| w.settled() && w.reloads == 1));
    for _ in 0..200 {
        world.publish();
        assert!(world.run_until(Duration::from_millis(10), World::settled));
    }
    assert_eq!(world.idle_writes, 0);
}

#[test]
fn stale_is_said_once_and_leads_elsewhere_and_fresh_is_said_again() {
    let mut world = World::new(1, vec![Weather::FAIR, Weather::FAIR], Mode::Push, Some(1), true, 3);
    assert!(world.run_until(Duration::from_secs(60), World::current));
    // Cross-checks bring only "the same"; nobody signs again for a day.
    world.run_until(FRESH + Duration::from_secs(10), |_| false);
    let stale = world.log.iter().filter(|a| matches!(a, Action::SayStale { .. })).count();
    assert_eq!(stale, 1);
    assert!(world.log.contains(&Action::ClosePush));
    world.publish();
    assert!(world.run_until(Duration::from_secs(1_800), |w| w.current() && w.log.contains(&Action::SayFresh { list: 0 })));
}

#[test]
fn a_version_that_lost_its_claim_is_left_by_repair_whatever_is_under_way() {
    let mut plan = Plan::new(PlanOptions {
        mirrors: 1,
        lists: vec![ListStart { have: Some(900), whole: true, fresh_for: FRESH, fold_due: false }],
        best: Mode::Poll,
        keys_due: Some(FRESH),
        outputs: vec![OutputStart { lists: vec![0], due: false, reload: Some(0) }],
        reloads: vec![false],
        timings: Timings::default(),
        seed: 1,
    });
    let at = Duration::from_secs(1);
    plan.on(at, Event::Timer);
    let forged = HeadFacts { serial: 1_000, snapshot_size: 100_000, fresh_for: FRESH, inline_from: None, restart: false };
    let honest = HeadFacts { serial: 5, restart: true, ..forged };
    let head = |facts| Event::Head { list: 0, mirror: 0, via: Via::Answer { max_age: None }, facts };
    assert!(matches!(plan.on(at, head(forged))[..], [Action::FetchDelta { to: 1_000, .. }]));
    assert_eq!(plan.on(at, head(honest)), []);
    let end = JobEnd::Applied { serial: 1_000, fold: false };
    assert_eq!(plan.on(at, Event::Job { list: 0, end }), [Action::Repair { list: 0, mirror: 0, to: 5 }], "and nothing is written");
    let end = JobEnd::Applied { serial: 5, fold: false };
    assert_eq!(plan.on(at, Event::Job { list: 0, end }), [Action::WriteOutput { output: 0 }]);
}
