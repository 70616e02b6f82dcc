//! The real routes behind a front that a test can let lie, fail, drip or hang; and a follower of them in a folder.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bwld::follower::{Follower, FollowerOptions, Limits, ListChoice, PullReport, Status, Timings, Trust, status};
use bwld::http::{App, Readiness, RouteOptions, router};
use bwld::list::Digest;
use bwld::store::Clock;
use bwld::trust::{SecretKey, Trusted};
use bwld::wire::{Head, Note};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::publishing::{World, id};

type Hook = Box<dyn Fn(&str) -> Option<Response> + Send>;

/// An address of the publisher.
pub struct Front {
    pub address: SocketAddr,
    hook: Arc<Mutex<Hook>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    pub async fn start(world: &Arc<World>) -> Front {
        let app = App {
            hub: world.hub.clone(),
            readiness: Readiness::default(),
            clock: world.clock.clone(),
            admin: None,
            options: RouteOptions { poll_every: Duration::ZERO, ..RouteOptions::default() },
        };
        let routes = router(app);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (hooked, noted) = (hook.clone(), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (routes, hook, asked) = (routes.clone(), hooked.clone(), noted.clone());
                let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let path = request.uri().to_string();
                    let lie = hook.lock().expect("no test panicked in it")(&path);
                    asked.lock().expect("no test panicked in it").push(format!("{} {path}", request.method()));
                    let routes = routes.clone();
                    async move {
                        let request: Request = request.map(Body::new);
                        let honest = async { routes.oneshot(request).await.expect("routes do not fail") };
                        Ok::<_, Infallible>(match lie {
                            Some(lie) => lie,
                            None => honest.await,
                        })
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Front { address, hook, asked, task }
    }

    /// From now on, requests for which `hook` has an answer get that one.
    pub fn lie(&self, hook: impl Fn(&str) -> Option<Response> + Send + 'static) {
        *self.hook.lock().unwrap() = Box::new(hook);
    }

    pub fn be_honest(&self) {
        self.lie(|_| None);
    }

    /// What was asked since the last time, `GET /v1/...`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

pub fn answer(code: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(code).body(body.into()).unwrap()
}

pub fn zstd_answer(body: Vec<u8>) -> Response {
    Response::builder().header("content-encoding", "zstd").body(body.into()).unwrap()
}

/// A body that never ends, in chunks of `octets`, one every `pause`.
pub fn endless(octets: usize, pause: Duration) -> Response {
    let chunks = futures_util::stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(vec![b'x'; octets]), ()))
    });
    Response::new(Body::from_stream(chunks))
}

/// The publisher's signing key, as a thief would have it.
pub fn stolen_key() -> SecretKey {
    SecretKey::from_seed("lists.example.org/signing-1", &[7; 32]).unwrap()
}

/// The newest head of a list as it travels.
pub fn note_of(world: &World, list: &str) -> String {
    world.catalog.get(&id(list)).unwrap().note.to_string()
}

/// The newest head, bent by `bend` and signed with the key.
pub fn bent(world: &World, list: &str, key: &SecretKey, bend: impl FnOnce(&mut Head)) -> String {
    let note = Note::parse(note_of(world, list).as_bytes(), 4_096).unwrap();
    let mut head = Head::parse(&note.text).unwrap();
    bend(&mut head);
    key.sign_note(head.to_text()).encode()
}

/// Makes a head one of the version after it, of the same content.
pub fn next_version(head: &mut Head) {
    head.previous = Some(head.version_digest());
    head.serial = head.serial.next().unwrap();
}

/// A subscriber's folder and what it is told.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub world: Arc<World>,
    pub options: FollowerOptions,
}

impl Home {
    /// Follows `lists` at these addresses, each into its own file.
    pub fn new(world: &Arc<World>, at: &[SocketAddr], lists: &[&str]) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let urls = at.iter().map(|a| format!("http://{a}/").parse().unwrap()).collect();
        let choices =
            lists.iter().map(|name| ListChoice { id: id(name), colour: None, output: Some(dir.path().join(format!("{name}.txt"))) });
        let mut options = FollowerOptions::new(urls, Trust::Pinned(fingerprint(world)), choices.collect());
        options.limits = Limits {
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(2),
            rate_span: Duration::from_millis(200),
            least_bytes: 200,
            small: Duration::from_secs(2),
            snapshot: Duration::from_secs(4),
            silence: Duration::from_secs(40),
            long_poll: Duration::from_secs(2),
            ..Limits::default()
        };
        options.timings = Timings {
            retry_first: Duration::from_millis(20),
            retry_most: Duration::from_millis(200),
            poll: Duration::from_millis(50),
            poll_least: Duration::from_millis(20),
            cross_check: Duration::from_secs(60),
            push_again: Duration::from_millis(100),
            push_stable: Duration::from_secs(1),
            push_grace: Duration::from_millis(300),
            keys: Duration::from_secs(86_400),
            pause_most: Duration::from_millis(5),
        };
        Home { dir, world: world.clone(), options }
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("follow")
    }

    pub fn open(&self) -> Follower {
        Follower::open(&self.folder(), self.options.clone(), self.world.clock.clone()).unwrap()
    }

    pub async fn pull(&self) -> PullReport {
        self.open().pull().await
    }

    pub fn run(&self) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let follower = self.open();
        let task = tokio::spawn(follower.run(async {
            let _ = stopped.await;
        }));
        Running { stop, task }
    }

    pub fn status(&self) -> Status {
        status(&self.folder(), self.world.clock.now()).unwrap()
    }

    pub fn output_path(&self, list: &str) -> PathBuf {
        self.dir.path().join(format!("{list}.txt"))
    }

    /// The entry lines of an output; `None`: there is no file.
    pub fn output(&self, list: &str) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(self.output_path(list)).ok()?;
        Some(text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect())
    }

    /// Whether the output is what is published.
    pub fn is_current(&self, list: &str) -> bool {
        let published: Vec<String> = self.world.lines(list).into_values().collect();
        self.output(list).is_some_and(|found| found == published)
    }

    /// The folder of a list's newest generation.
    pub fn generation(&self, list: &str) -> PathBuf {
        let lists = self.folder().join("lists").join(list);
        let mut found: Vec<PathBuf> = std::fs::read_dir(lists).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
        found.sort();
        found.pop().unwrap()
    }
}

pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

pub fn fingerprint(world: &World) -> Digest {
    let (_, note) = world.catalog.keyset(Some(1)).unwrap();
    Trusted::self_signed_for_tofu(note.as_bytes()).unwrap().fingerprint()
}

/// Waits until `done`, at most 20 seconds.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
