//! A world with its own time around a plan: what is done, what comes of it, and when.

use std::time::Duration;

use super::super::*;

/// How an address behaves in one respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Luck {
    Good,
    Bad,
    /// Good or bad, by the toss of a coin.
    Either,
}

#[derive(Clone, Debug)]
pub(super) struct Weather {
    pub(super) push: Luck,
    pub(super) long_poll: Luck,
    pub(super) ask: Luck,
    pub(super) inline: Luck,
    pub(super) delta: Luck,
    pub(super) repair: Luck,
    pub(super) snapshot: Luck,
    pub(super) keys: Luck,
    pub(super) disk: Luck,
}

impl Weather {
    pub(super) const FAIR: Weather = Weather {
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

pub(super) struct World {
    pub(super) plan: Plan,
    now: Moment,
    pub(super) weather: Vec<Weather>,
    toss: Jitter,
    /// What will happen, and when.
    coming: Vec<(Moment, Event)>,
    stream: Option<usize>,
    /// The newest serial of each list, and the newest that was verified by the follower.
    pub(super) newest: Vec<u64>,
    verified: Vec<u64>,
    pub(super) have: Vec<Option<u64>>,
    busy: Vec<[bool; 4]>,
    keys_busy: bool,
    pub(super) reloads: usize,
    pub(super) asks: usize,
    pub(super) log: Vec<Action>,
    /// Seconds that a job, a write and a reload take.
    pub(super) takes: [f64; 3],
    /// By list: what its file holds, what is being written, and before when nothing may be.
    pub(super) written: Vec<Option<u64>>,
    writing: Vec<Option<u64>>,
    rest: Vec<Moment>,
    /// What a list's last write took.
    cost: Vec<Duration>,
    /// Writes of what was there already.
    pub(super) idle_writes: usize,
    reloading: bool,
    reload_rest: Moment,
    /// Since when there is something written that no reload has begun for.
    pub(super) unloaded: Option<Moment>,
}

/// What the plan promises to rest after something that took so long.
fn naive_pause(took: Duration) -> Duration {
    let beyond = (took.as_nanos() as i128 - 5_000_000).max(0);
    Duration::from_nanos((beyond * 10).min(1_000_000_000) as u64)
}

pub(super) const FRESH: Duration = Duration::from_secs(86_400);

impl World {
    pub(super) fn new(lists: usize, weather: Vec<Weather>, best: Mode, have: Option<u64>, whole: bool, seed: u64) -> World {
        let start = ListStart { have, whole, fresh_for: if have.is_some() { FRESH } else { Duration::ZERO }, fold_due: false };
        let plan = Plan::new(PlanOptions {
            mirrors: weather.len(),
            lists: vec![start; lists],
            outputs: (0..lists).map(|list| OutputStart { lists: vec![list], due: false, reload: Some(0) }).collect(),
            reloads: vec![false],
            best,
            keys_due: None,
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
            takes: [0.3, 0.2, 0.5],
            // Nothing is due, so what is there has been written out.
            written: vec![have; lists],
            writing: vec![None; lists],
            rest: vec![Duration::ZERO; lists],
            cost: vec![Duration::ZERO; lists],
            idle_writes: 0,
            reloading: false,
            reload_rest: Duration::ZERO,
            unloaded: None,
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
        self.later(self.takes[0], Event::Job { list, end });
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
            Action::WriteOutput { output } => self.write(output),
            Action::Reload { .. } => self.reload(),
            Action::SayStale { .. } | Action::SayFresh { .. } => {}
        }
    }

    fn write(&mut self, list: usize) {
        self.begin(list, 3);
        assert!(self.have[list].is_some(), "nothing is written that never came");
        assert!(self.now >= self.rest[list], "written within the pause: {:?}, {:?}", self.now, self.rest[list]);
        self.writing[list] = self.have[list];
        let same = self.have[list] == self.written[list];
        self.idle_writes += usize::from(same);
        let how = match (self.good(self.weather[0].disk), same) {
            (true, true) => Written::Unchanged,
            (true, false) => Written::Changed,
            (false, _) => Written::Failed,
        };
        self.later(self.takes[1], Event::Written { output: list, how, took: Duration::from_secs_f64(self.takes[1]) });
    }

    fn reload(&mut self) {
        assert!(!self.reloading, "one reload at a time");
        assert!(self.now >= self.reload_rest, "reloaded within the pause: {:?}, {:?}", self.now, self.reload_rest);
        if let Some(since) = self.unloaded.take() {
            let bound = Duration::from_secs_f64(self.takes[1] + self.takes[2] + 1.1);
            assert!(self.now - since <= bound, "written at {since:?}, loaded at {:?}", self.now);
        }
        self.reloading = true;
        self.reloads += 1;
        self.later(self.takes[2], Event::Reloaded { reload: 0, took: Duration::from_secs_f64(self.takes[2]), again: false });
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
            Event::Written { output: list, how, took } => {
                self.busy[list][3] = false;
                self.cost[list] = took;
                self.rest[list] = self.now + naive_pause(took);
                if how == Written::Changed {
                    self.written[list] = self.writing[list];
                    self.unloaded.get_or_insert(self.now);
                }
            }
            Event::Reloaded { took, .. } => {
                self.reloading = false;
                self.reload_rest = self.now + naive_pause(took);
                for (rest, cost) in self.rest.iter_mut().zip(&self.cost) {
                    *rest = (*rest).max(self.now + naive_pause(*cost + took));
                }
            }
            Event::Keys(_) => self.keys_busy = false,
            _ => {}
        }
        for action in self.plan.on(self.now, event) {
            self.perform(action);
        }
    }

    /// Goes on to whatever comes next; panics if nothing ever would.
    pub(super) fn step(&mut self) {
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

    pub(super) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    pub(super) fn current(&self) -> bool {
        self.have.iter().zip(&self.newest).all(|(have, newest)| *have == Some(*newest))
    }

    /// Current, written out and loaded.
    pub(super) fn settled(&self) -> bool {
        self.current() && self.written == self.have && self.unloaded.is_none()
    }

    pub(super) fn publish(&mut self) {
        for list in 0..self.newest.len() {
            self.newest[list] += 1;
            if let (Some(mirror), true) = (self.stream, self.plan.link.push_works()) {
                let facts = self.facts(list, true);
                self.later(0.0, Event::Head { list, mirror, via: Via::Push, facts });
            }
        }
    }
}
