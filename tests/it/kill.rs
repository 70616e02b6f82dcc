//! The daemon is killed (SIGKILL) at random moments of a stream of publications. After each start every publication
//! that was acknowledged is whole, none is half there, serials go on, and a follower, which was itself under way when the
//! daemon died, goes on by deltas to exactly what was acknowledged.
//!
//! 20 kills in the ordinary run; `BWLD_LONG=1` makes it 200.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Daemon, Place};

const LIST: &str = "killed";

/// A small deterministic generator, so that a failing round can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What must be true of the daemon, and what may be because the answer never came.
#[derive(Default)]
struct Model {
    serial: u64,
    content: BTreeSet<String>,
    staged: Vec<(bool, String)>,
    /// A request that was under way when the daemon died: the changes it would have staged, or a publication.
    in_flight: Option<InFlight>,
    made: u64,
}

enum InFlight {
    Stage(Vec<(bool, String)>),
    Publish,
}

impl Model {
    fn published(&self) -> BTreeSet<String> {
        let mut content = self.content.clone();
        for (put, rule) in &self.staged {
            if *put {
                content.insert(rule.clone());
            } else {
                content.remove(rule);
            }
        }
        content
    }

    fn commit(&mut self) {
        self.content = self.published();
        self.staged.clear();
        self.serial += 1;
    }

    /// Compares with what the daemon says after a start, and settles what was in flight by it.
    fn settle(&mut self, serial: u64, content: &BTreeSet<String>, staged: u64) {
        match self.in_flight.take() {
            Some(InFlight::Publish) if serial == self.serial + 1 => self.commit(),
            Some(InFlight::Stage(changes)) if staged == (self.staged.len() + changes.len()) as u64 => self.staged.extend(changes),
            _ => {}
        }
        assert_eq!(serial, self.serial, "serials go on exactly where the last acknowledged publication left them");
        assert_eq!(content, &self.content, "content of serial {serial} is whole, and nothing of another version is in it");
        assert_eq!(staged, self.staged.len() as u64, "acknowledged staged changes are there, none is there twice");
    }
}

/// A way to one run of the daemon.
struct Way {
    http: reqwest::Client,
    address: String,
    token: String,
}

impl Way {
    fn to(daemon: &Daemon, place: &Place) -> Way {
        Way { http: reqwest::Client::new(), address: daemon.address(), token: place.read("bwld-data/operator.token").trim().to_owned() }
    }

    /// What it answers; `None` when it died before the answer was there.
    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let answer = self.http.post(format!("{}{path}", self.address)).bearer_auth(&self.token).json(body).send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).ok()
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.token).send().await.expect("the daemon answers");
        let status = answer.status();
        let text = answer.text().await.expect("a whole body");
        assert!(status.is_success(), "{path}: {status}: {text}");
        text
    }
}

/// Stages and publishes until the daemon dies under it, and counts the answers.
async fn stream(way: &Way, model: &mut Model, random: &mut Random, answers: &AtomicU64) {
    loop {
        let mut changes: Vec<(bool, String)> = Vec::new();
        for _ in 0..=random.below(3) {
            model.made += 1;
            changes.push((true, format!("domain:n{}.example.com", model.made)));
        }
        if let Some(old) = model.content.iter().nth(random.below(50) as usize)
            && !model.staged.iter().any(|(_, rule)| rule == old)
        {
            changes.push((false, old.clone()));
        }
        let put: Vec<_> = changes.iter().filter(|c| c.0).map(|c| json!({"rule": c.1})).collect();
        let remove: Vec<_> = changes.iter().filter(|c| !c.0).map(|c| &c.1).collect();
        let body = json!({"put": put, "remove": remove});
        if way.post(&format!("/v1/admin/lists/{LIST}/changes"), &body).await.is_none() {
            model.in_flight = Some(InFlight::Stage(changes));
            return;
        }
        answers.fetch_add(1, Ordering::Relaxed);
        model.staged.extend(changes);
        // Now and then several stagings before one publication.
        if random.below(4) == 0 {
            continue;
        }
        match way.post(&format!("/v1/admin/lists/{LIST}/publish"), &json!({"force": ["max-removed", "max-added"]})).await {
            Some(report) => {
                model.commit();
                answers.fetch_add(1, Ordering::Relaxed);
                assert_eq!(report["version"]["serial"], model.serial, "{report}");
            }
            None => {
                model.in_flight = Some(InFlight::Publish);
                return;
            }
        }
    }
}

/// Compares what the daemon has with what it must have.
async fn verify(way: &Way, model: &mut Model) {
    let view: Value = serde_json::from_str(&way.get(&format!("/v1/admin/lists/{LIST}")).await).expect("JSON");
    let serial = view["serial"].as_u64().unwrap_or(0);
    let mut content = BTreeSet::new();
    if serial > 0 {
        let lines = way.get(&format!("/v1/admin/lists/{LIST}/export")).await;
        content = lines.lines().map(|l| l.split('\t').next().unwrap_or_default().to_owned()).collect();
    }
    model.settle(serial, &content, view["staged"].as_u64().expect("a number"));
}

/// One follower through all the kills: once it has the list, it takes whatever is new by a delta, and after each start
/// it holds exactly what was acknowledged.
struct Follower<'a> {
    place: &'a Place,
    fingerprint: String,
    deltas: u64,
}

impl Follower<'_> {
    /// One update, to its end; whether it reached the publisher's newest version. `false`: the publisher died under it.
    fn pull(&mut self, address: &str) -> bool {
        let before = self.serial();
        let mut command = self.place.command(&["pull", address, "--trust", &self.fingerprint, "--list", LIST, "--dir", "follower"]);
        // At this level it says by which way each version came.
        let said = command.env("BWLD_LOG_LEVEL", "debug").env("BWLD_LOG_FORMAT", "json").output().expect("the program starts");
        let log = String::from_utf8(said.stderr).expect("text");
        let code = said.status.code();
        assert!(matches!(code, Some(0 | 1)), "nothing that comes is refused, whatever happens to the publisher: {code:?}\n{log}");
        for line in log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).filter(|l| l["message"] == "applied") {
            let way = line["how"].as_str().expect("a way");
            assert!(way.starts_with("Delta") || (before.is_none() && way.starts_with("Snapshot")), "serial {before:?}, then {line}");
            self.deltas += u64::from(way.starts_with("Delta"));
        }
        code == Some(0)
    }

    fn file(&self) -> Option<String> {
        std::fs::read_to_string(self.place.path("follower/out/killed.txt")).ok()
    }

    fn serial(&self) -> Option<u64> {
        self.file()?.lines().find_map(|l| l.strip_prefix("# serial ")).map(|n| n.parse().expect("a number"))
    }

    /// After a start: what it has was not taken back, and it goes on from there to exactly what the model has.
    fn verify(&mut self, address: &str, model: &Model) {
        let before = self.serial();
        assert!(before.is_none_or(|serial| serial <= model.serial), "announced, and gone after the start: {before:?} of {}", model.serial);
        if model.serial == 0 {
            return;
        }
        assert!(self.pull(address), "the publisher is there");
        assert_eq!(self.serial(), Some(model.serial));
        let text = self.file().expect("written");
        let rules = text.lines().filter(|l| !l.starts_with('#'));
        let content: BTreeSet<String> = rules.map(|l| l.split('\t').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(content, model.content, "the follower has serial {}", model.serial);
    }
}

fn serve(place: &Place) -> Daemon {
    place.serve_with(&["--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false")])
}

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let rounds = if std::env::var_os("BWLD_LONG").is_some() { 200 } else { 20 };
    let place = Place::new();
    // An error means that another test was first: there is one for the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut random = Random(0x5EED_B3D1);
    let mut model = Model::default();
    let mut follower = Follower { place: &place, fingerprint: String::new(), deltas: 0 };
    for round in 0..=rounds {
        // Every fourth start is itself cut short: recovery must survive a crash of recovery.
        if round % 4 == 3 {
            let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
            std::thread::sleep(Duration::from_millis(random.below(60)));
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
        let daemon = serve(&place);
        let way = Way::to(&daemon, &place);
        if round == 0 {
            let new = json!({"id": LIST, "colour": "black", "title": "killed often"});
            runtime.block_on(way.post("/v1/admin/lists", &new)).expect("created");
        }
        runtime.block_on(verify(&way, &mut model));
        follower.fingerprint = daemon.greeted("fingerprint ");
        follower.verify(&way.address, &model);
        if round == rounds {
            break;
        }
        // The moment is counted in answers, and some milliseconds behind the last: on a busy machine too the stream gets on between
        // two kills, and the daemon dies wherever it then is.
        let (after, moment) = (random.below(10), Duration::from_millis(random.below(20)));
        let answers = AtomicU64::new(0);
        let (early, address, follower) = (random.below(80), way.address.clone(), &mut follower);
        std::thread::scope(|scope| {
            let counted = &answers;
            scope.spawn(move || {
                let started = Instant::now();
                while counted.load(Ordering::Relaxed) < after && started.elapsed() < DEADLINE {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(moment);
                drop(daemon);
            });
            // The follower is under way too when the daemon dies: it may hear of a version that no operator was told of.
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(early));
                follower.pull(&address);
            });
            runtime.block_on(stream(&way, &mut model, &mut random, &answers));
        });
    }
    assert!(model.serial > rounds, "the stream published between the kills: {} versions", model.serial);
    assert!(follower.deltas >= rounds / 4, "the follower went on by {} deltas", follower.deltas);
}
