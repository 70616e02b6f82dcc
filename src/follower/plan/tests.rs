//! The plan against a simulated world with its own time: addresses that work, fail, lie or hang, at random.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// How an address behaves in one respect.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Luck {
    Good,
    Bad,
    /// Good or bad, by the toss of a coin.
    Either,
}

#[derive(Clone, Debug)]
struct Weather {
    push: Luck,
    long_poll: Luck,
    ask: Luck,
    inline: Luck,
    delta: Luck,
    repair: Luck,
    snapshot: Luck,
    keys: Luck,
    disk: Luck,
}

impl Weather {
    const FAIR: Weather = Weather {
        push: Luck::Good,
        long_poll: Luck::Good,
        ask: Luck::Good,
        inline: Luck::Good,
        delta: Luck::Good,
        repair: Luck::Good,
        snapshot: Luck::Good,
        keys: Luck::Good,
        disk: Luck::Good,
    };
}

struct World {
    plan: Plan,
    now: Moment,
    weather: Vec<Weather>,
    toss: Jitter,
    /// What will happen, and when.
    coming: Vec<(Moment, Event)>,
    stream: Option<usize>,
    /// The newest serial of each list, and the newest that was verified by the follower.
    newest: Vec<u64>,
    verified: Vec<u64>,
    have: Vec<Option<u64>>,
    busy: Vec<[bool; 4]>,
    keys_busy: bool,
    reloads: usize,
    asks: usize,
    log: Vec<Action>,
}

const FRESH: Duration = Duration::from_secs(86_400);

impl World {
    fn new(lists: usize, weather: Vec<Weather>, best: Mode, have: Option<u64>, whole: bool, seed: u64) -> World {
        let start =
            ListStart { have, whole, fresh_for: if have.is_some() { FRESH } else { Duration::ZERO }, output_due: false, fold_due: false };
        let plan = Plan::new(PlanOptions {
            mirrors: weather.len(),
            lists: vec![start; lists],
            best,
            keys_due: None,
            reload_due: false,
            timings: Timings::default(),
            seed,
        });
        World {
            plan,
            now: Duration::ZERO,
            weather,
            toss: Jitter::new(seed ^ 1),
            coming: Vec::new(),
            stream: None,
            newest: vec![have.unwrap_or(1) + 1; lists],
            verified: vec![0; lists],
            have: vec![have; lists],
            busy: vec![[false; 4]; lists],
            keys_busy: false,
            reloads: 0,
            asks: 0,
            log: Vec::new(),
        }
    }

    fn good(&mut self, luck: Luck) -> bool {
        match luck {
            Luck::Good => true,
            Luck::Bad => false,
            Luck::Either => self.toss.next() < 0.5,
        }
    }

    fn later(&mut self, seconds: f64, event: Event) {
        self.coming.push((self.now + Duration::from_secs_f64(seconds), event));
    }

    fn facts(&mut self, list: usize, inline: bool) -> HeadFacts {
        let serial = self.newest[list];
        HeadFacts {
            serial,
            snapshot_size: 100_000,
            fresh_for: FRESH,
            inline_from: if inline { self.have[list] } else { None },
            restart: false,
        }
    }

    fn any_failure(&mut self, gone: bool) -> JobEnd {
        match (self.toss.next() * 7.0) as u32 {
            0 => JobEnd::Transport { wait: None },
            1 => JobEnd::Transport { wait: Some(Duration::from_secs(1_000_000)) },
            2 if gone => JobEnd::Gone,
            3 => JobEnd::Damaged,
            4 => JobEnd::Local,
            5 => JobEnd::TooBig([None, Some(1)][usize::from(self.toss.next() < 0.5)]),
            _ => JobEnd::Wrong,
        }
    }

    fn begin(&mut self, list: usize, slot: usize) {
        assert!(!self.busy[list][slot], "one of a kind at a time: {:?}", self.log.last());
        self.busy[list][slot] = true;
    }

    fn job(&mut self, list: usize, to: u64, luck: Luck, gone: bool) {
        self.begin(list, 1);
        assert_eq!(to, self.verified[list], "only towards the newest verified head");
        assert!(self.have[list].is_none_or(|have| to >= have), "never back");
        let end = if self.good(luck) { JobEnd::Applied { serial: to, fold: self.toss.next() < 0.1 } } else { self.any_failure(gone) };
        self.later(0.3, Event::Job { list, end });
    }

    fn perform(&mut self, action: Action) {
        self.log.push(action);
        match action {
            Action::OpenPush { mirror } => {
                assert!(self.stream.is_none(), "one stream");
                let luck = self.weather[mirror].push;
                if self.good(luck) {
                    self.stream = Some(mirror);
                    self.later(0.1, Event::PushOpened);
                    self.later(0.2, Event::PushHeard);
                    for list in 0..self.newest.len() {
                        let facts = self.facts(list, true);
                        self.later(0.2, Event::Head { list, mirror, via: Via::Push, facts });
                    }
                    if luck == Luck::Either {
                        self.later(60.0 * self.toss.clone().next(), Event::PushLost { wait: None });
                    }
                } else {
                    self.stream = Some(mirror);
                    self.later(5.0, Event::PushLost { wait: None });
                }
            }
            Action::ClosePush => self.close(),
            Action::Ask { list, mirror, wait } => {
                self.begin(list, 0);
                self.asks += 1;
                let luck = if wait { self.weather[mirror].long_poll } else { self.weather[mirror].ask };
                if self.good(luck) {
                    if self.verified[list] == self.newest[list] {
                        self.later(if wait { 50.0 } else { 0.1 }, Event::Same { list, max_age: Some(Duration::from_secs(30)) });
                    } else {
                        let facts = self.facts(list, false);
                        self.later(0.1, Event::Head { list, mirror, via: Via::Answer { max_age: None }, facts });
                    }
                } else {
                    let event = match (self.toss.next() * 4.0) as u32 {
                        0 => Event::HeadRefused { list, mirror, push: false, why: Refused::Wrong },
                        1 => Event::HeadRefused { list, mirror, push: false, why: Refused::NeedsKeys },
                        2 => Event::AskFailed { list, mirror, wait: Some(Duration::from_secs(1_000_000)) },
                        _ => Event::AskFailed { list, mirror, wait: None },
                    };
                    self.later(3.0, event);
                }
            }
            Action::FetchKeys { mirror } => {
                assert!(!self.keys_busy);
                self.keys_busy = true;
                let ok = self.good(self.weather[mirror].keys);
                self.later(0.1, Event::Keys(ok.then_some(false)));
            }
            Action::ApplyInline { list, to } => self.job(list, to, self.weather[0].inline, false),
            Action::FetchDelta { list, mirror, from, to, at_most } => {
                assert_eq!(Some(from), self.have[list]);
                assert!(from < to && at_most > 0);
                if self.toss.next() < 0.2 && self.weather[mirror].delta == Luck::Either {
                    self.begin(list, 1);
                    self.later(0.1, Event::Job { list, end: JobEnd::TooBig(Some(20_000)) });
                } else {
                    self.job(list, to, self.weather[mirror].delta, true);
                }
            }
            Action::MeasureSnapshot { list, .. } => {
                self.begin(list, 1);
                let size = [None, Some(10_000), Some(30_000)][(self.toss.next() * 3.0) as usize];
                self.later(0.1, Event::Job { list, end: JobEnd::SnapshotSize(size) });
            }
            Action::Repair { list, mirror, to } => self.job(list, to, self.weather[mirror].repair, true),
            Action::FetchSnapshot { list, mirror, to } => self.job(list, to, self.weather[mirror].snapshot, true),
            Action::Fold { list } => {
                self.begin(list, 2);
                let ok = self.good(self.weather[0].disk);
                self.later(2.0, Event::Folded { list, ok });
            }
            Action::WriteOutput { list } => {
                self.begin(list, 3);
                assert!(self.have[list].is_some(), "nothing is written that never came");
                let how = if self.good(self.weather[0].disk) { Written::Changed } else { Written::Failed };
                self.later(0.2, Event::Written { list, how });
            }
            Action::Reload => {
                self.reloads += 1;
                self.later(0.5, Event::Reloaded);
            }
            Action::SayStale { .. } | Action::SayFresh { .. } => {}
        }
    }

    fn close(&mut self) {
        self.stream = None;
        self.coming.retain(|(_, e)| {
            !matches!(e, Event::PushOpened | Event::PushHeard | Event::PushLost { .. } | Event::Head { via: Via::Push, .. })
        });
    }

    fn hand_over(&mut self, mut event: Event) {
        if let Event::Head { list, via, facts, .. } = &mut event {
            let (list, max_age) = (*list, None);
            if facts.serial >= self.verified[list] {
                self.verified[list] = facts.serial;
                // What came along may have been overtaken by a job.
                facts.inline_from = facts.inline_from.filter(|from| Some(*from) == self.have[list]);
            } else if matches!(via, Via::Answer { .. }) {
                // Overtaken by the stream: no rollback, only late.
                event = Event::Same { list, max_age };
            } else {
                return;
            }
        }
        match event {
            Event::PushLost { .. } => self.close(),
            Event::Same { list, .. } | Event::AskFailed { list, .. } | Event::HeadRefused { list, push: false, .. } => {
                self.busy[list][0] = false
            }
            Event::Head { list, via: Via::Answer { .. }, .. } => self.busy[list][0] = false,
            Event::Job { list, end } => {
                self.busy[list][1] = false;
                if let JobEnd::Applied { serial, .. } = end {
                    self.have[list] = self.have[list].max(Some(serial));
                }
            }
            Event::Folded { list, .. } => self.busy[list][2] = false,
            Event::Written { list, .. } => self.busy[list][3] = false,
            Event::Keys(_) => self.keys_busy = false,
            _ => {}
        }
        for action in self.plan.on(self.now, event) {
            self.perform(action);
        }
    }

    /// Goes on to whatever comes next; panics if nothing ever would.
    fn step(&mut self) {
        let wake = self.plan.wake();
        let next = self.coming.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(i, (at, _))| (i, *at));
        match next {
            Some((i, at)) if at <= wake => {
                let (_, event) = self.coming.remove(i);
                self.now = self.now.max(at);
                self.hand_over(event);
            }
            _ => {
                assert!(wake < Moment::MAX, "dead: nothing under way and nothing planned");
                assert!(wake <= self.now + FRESH + FRESH, "asleep for too long");
                self.now = wake;
                let said = self.log.len();
                self.hand_over(Event::Timer);
                assert!(self.log.len() > said || self.plan.wake() > self.now, "a wake-up that brings nothing and repeats");
            }
        }
    }

    fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    fn current(&self) -> bool {
        self.have.iter().zip(&self.newest).all(|(have, newest)| *have == Some(*newest))
    }

    fn publish(&mut self) {
        for list in 0..self.newest.len() {
            self.newest[list] += 1;
            if let (Some(mirror), true) = (self.stream, self.plan.link.push_works()) {
                let facts = self.facts(list, true);
                self.later(0.0, Event::Head { list, mirror, via: Via::Push, facts });
            }
        }
    }
}

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
        lists: vec![ListStart { have: Some(1), whole: true, fresh_for: FRESH, output_due: false, fold_due: false }],
        best: Mode::Push,
        keys_due: Some(FRESH),
        reload_due: false,
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
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchDelta { list: 0, mirror: 0, from: 1, to: 2, at_most: 12_500 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::Repair { list: 0, mirror: 0, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchSnapshot { list: 0, mirror: 0, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchDelta { list: 0, mirror: 1, from: 1, to: 2, at_most: 12_500 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::Repair { list: 0, mirror: 1, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [Action::FetchSnapshot { list: 0, mirror: 1, to: 2 }]);
    assert_eq!(jobs(plan.on(at, wrong)), [], "keeps what it has");
    assert!(plan.wake() <= at + Duration::from_secs(3), "and tries again");
}

#[test]
fn the_cheaper_of_delta_and_snapshot_is_taken() {
    for (delta, snapshot, expected) in [(20_000, 30_000, "delta"), (30_000, 20_000, "snapshot")] {
        let mut plan = Plan::new(PlanOptions {
            mirrors: 1,
            lists: vec![ListStart { have: Some(1), whole: true, fresh_for: FRESH, output_due: false, fold_due: false }],
            best: Mode::Poll,
            keys_due: Some(FRESH),
            reload_due: false,
            timings: Timings::default(),
            seed: 1,
        });
        plan.on(Duration::ZERO, Event::Timer);
        let facts = HeadFacts { serial: 9, snapshot_size: 100_000, fresh_for: FRESH, inline_from: None, restart: false };
        let head = Event::Head { list: 0, mirror: 0, via: Via::Answer { max_age: None }, facts };
        assert_eq!(plan.on(Duration::ZERO, head), [Action::FetchDelta { list: 0, mirror: 0, from: 1, to: 9, at_most: 12_500 }]);
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
        lists: vec![ListStart { have: Some(900), whole: true, fresh_for: FRESH, output_due: false, fold_due: false }],
        best: Mode::Poll,
        keys_due: Some(FRESH),
        reload_due: false,
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
    assert_eq!(plan.on(at, Event::Job { list: 0, end }), [Action::WriteOutput { list: 0 }]);
}
