//! The operator's API over a socket, with a publisher and a store behind it.

use std::io::Write;
use std::sync::Arc;

use bwld::feed::{Hub, HubOptions};
use bwld::http::{Admin, App, HttpOptions, Oidc, OidcOptions, OperatorToken, Proxies, Readiness, RouteOptions};
use bwld::list::ListId;
use bwld::people::{HashCost, People, PeopleOptions};
use bwld::publisher::{Publisher, PublisherOptions};
use bwld::store::{Catalog, Disk, FakeClock, IndexKind, RealDisk, Store, StoreOptions};
use serde_json::{Value, json};

use super::raw::{Answer, SOON, Server};
use super::signed;

const TOKEN: &str = "bwld-test-token";
pub const BEARER: (&str, &str) = ("authorization", "Bearer bwld-test-token");
const STORE: StoreOptions = StoreOptions { index: IndexKind::Memory, segment_size: 1 << 20, checkpoint_after: 1 << 40, flush_every: 512 };

/// A publisher behind a server.
pub struct Desk {
    pub server: Server,
    hub: Arc<Hub>,
    pub people: Arc<People>,
    pub store: Arc<Store>,
    /// For routers of a test's own, without a server around them.
    pub app: App,
    pub publisher: Arc<Publisher>,
    dir: tempfile::TempDir,
}

impl Desk {
    async fn open(max_import: u64) -> Desk {
        Desk::open_on(Arc::new(RealDisk), max_import, RouteOptions::default()).await
    }

    pub async fn open_on(disk: Arc<dyn Disk>, max_import: u64, options: RouteOptions) -> Desk {
        Desk::open_whole(disk, max_import, options, None, HttpOptions::default()).await
    }

    /// Behind proxies.
    pub async fn open_behind(proxies: Proxies) -> Desk {
        let http = HttpOptions { proxies, ..HttpOptions::default() };
        Desk::open_whole(Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default(), None, http).await
    }

    /// With log-in by a provider of identities.
    pub async fn open_with_oidc(oidc: OidcOptions) -> Desk {
        Desk::open_whole(Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default(), Some(oidc), HttpOptions::default()).await
    }

    async fn open_whole(disk: Arc<dyn Disk>, max_import: u64, options: RouteOptions, oidc: Option<OidcOptions>, http: HttpOptions) -> Desk {
        let desk = Desk::open_in(tempfile::tempdir().expect("a folder"), disk, max_import, options, oidc, http).await;
        let note = signed::note(&signed::keyset_1().to_text(), &["root-a", "root-b"]);
        let activated = desk.ask("POST", "/keyset", note.as_bytes()).await;
        assert_eq!((activated.status, activated.json()["keyset"].as_u64()), (200, Some(1)), "{activated:?}");
        desk
    }

    /// The same folder again, by a publisher that has just been started.
    pub async fn again(self) -> Desk {
        let Desk { server, hub, people, store, publisher, app, dir } = self;
        let closed = Arc::downgrade(&store);
        drop((server, hub, people, store, publisher, app));
        // What the server's tasks still hold is let go when they are.
        let deadline = std::time::Instant::now() + SOON;
        while closed.strong_count() > 0 {
            assert!(std::time::Instant::now() < deadline, "the store is let go");
            tokio::task::yield_now().await;
        }
        Desk::open_in(dir, Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default(), None, HttpOptions::default()).await
    }

    async fn open_in(
        dir: tempfile::TempDir,
        disk: Arc<dyn Disk>,
        max_import: u64,
        options: RouteOptions,
        oidc: Option<OidcOptions>,
        http: HttpOptions,
    ) -> Desk {
        let (store, _) = Store::open(&dir.path().join("store"), STORE, disk, &mut |_| {}).expect("a store");
        let (store, catalog) = (Arc::new(store), Arc::new(Catalog::default()));
        let clock = Arc::new(FakeClock::at(signed::now()));
        let hub = Hub::new(catalog.clone(), store.artefacts().clone(), HubOptions::default());
        let told = hub.clone();
        let publisher = Publisher::open(
            store.clone(),
            catalog,
            PublisherOptions::new(signed::origin()),
            signed::key("signing-1"),
            clock.clone(),
            Box::new(move |id: &ListId| told.announce(id)),
        );
        let cheap = PeopleOptions {
            hash: HashCost { memory: 64, passes: 1, lanes: 1 },
            log_ins_per_minute: std::num::NonZeroU32::new(1_000).expect("not zero"),
            factor_key: Some(zeroize::Zeroizing::new([7; 32])),
            ..PeopleOptions::default()
        };
        let people = Arc::new(People::open(store.clone(), clock.clone(), cheap).expect("people"));
        let oidc = oidc.map(|options| Arc::new(Oidc::new(options, clock.clone()).expect("a provider")));
        let publisher = Arc::new(publisher.expect("a publisher"));
        let cases = bwld::desk::Desk::open(publisher.clone(), store.clone(), hub.catalog().clone(), clock.clone()).expect("a desk");
        let cases = Arc::new(cases.with_people(people.clone()));
        let admin = Admin {
            publisher: publisher.clone(),
            store: store.clone(),
            desk: cases,
            people: people.clone(),
            oidc,
            operator: OperatorToken::new(TOKEN),
            max_import,
        };
        let app = App { hub: hub.clone(), readiness: Readiness::default(), clock, admin: Some(admin), options };
        Desk { server: Server::of(app.clone(), http).await, hub, people, store, publisher, app, dir }
    }

    /// With a black list `test`.
    pub async fn with_list() -> Desk {
        let desk = Desk::open(Admin::DEFAULT_MAX_IMPORT).await;
        desk.create_list().await;
        desk
    }

    pub async fn create_list(&self) {
        let desk = self;
        let created = desk.json("POST", "/lists", &json!({"id": "test", "colour": "black", "title": "Test"})).await;
        assert_eq!((created.status, created.header("location")), (201, "/v1/admin/lists/test"), "{created:?}");
    }

    pub async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.server.raw().await.request(method, &format!("/v1/admin{path}"), &[BEARER], body).await
    }

    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, body.to_string().as_bytes()).await
    }

    pub async fn import(&self, query: &str, encoding: &str, body: &[u8]) -> Answer {
        let path = format!("/v1/admin/lists/test/import{query}");
        self.server.raw().await.request("POST", &path, &[BEARER, ("content-encoding", encoding)], body).await
    }
}

#[tokio::test]
async fn a_change_goes_from_staging_to_subscribers() {
    let desk = Desk::with_list().await;
    let put = json!({"put": [{"rule": "Bad.Example", "attributes": {"categories": ["malware"]}}, {"rule": "subtree:worse.example"}]});
    let dry = desk.json("POST", "/lists/test/changes", &json!({"put": put["put"], "dry_run": true})).await;
    assert_eq!((dry.status, dry.json()["added"].as_u64()), (200, Some(2)));
    assert_eq!(desk.ask("GET", "/lists/test/staged", b"").await.json()["added"].as_u64(), Some(0));
    assert_eq!(desk.json("POST", "/lists/test/changes", &put).await.json()["added"].as_u64(), Some(2));
    let staged = desk.ask("GET", "/lists/test/staged?lines=1", b"").await.json();
    assert_eq!((staged["added"].as_u64(), staged["lines"].as_array().map(Vec::len)), (Some(2), Some(1)));

    let published = desk.json("POST", "/lists/test/publish", &json!({"reason": "first"})).await.json();
    assert_eq!((published["version"]["serial"].as_u64(), published["version"]["by"].as_str()), (Some(1), Some("operator")));
    let mut follower = desk.server.raw().await;
    follower.begin("GET", "/v1/lists/test/head?wait=60&after=1", &[], b"").await;
    while desk.hub.metrics().long_polls.get() == 0 {
        tokio::task::yield_now().await;
    }
    desk.json("POST", "/lists/test/changes", &json!({"remove": ["bad.example"]})).await;
    // Without a body: nothing forced, no reason.
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.json()["version"]["serial"].as_u64(), Some(2));
    let head = follower.answer(false).await;
    assert!(head.status == 200 && head.text().contains("\nserial 2\n"));

    let log = desk.ask("GET", "/lists/test/log?limit=1", b"").await.json();
    assert_eq!((log["versions"][0]["serial"].as_u64(), log["next"].as_u64()), (Some(2), Some(2)));
    let older = desk.ask("GET", "/lists/test/log?before=2", b"").await.json();
    assert_eq!(older["versions"][0]["reason"].as_str(), Some("first"));
    let export = desk.ask("GET", "/lists/test/export", b"").await;
    assert!(export.text().starts_with("subtree:worse.example") && export.text().lines().count() == 1, "{}", export.text());
    let metrics = desk.server.get("/metrics", &[]).await;
    assert!(metrics.text().contains("bwld_publications_total{list=\"test\",kind=\"version\"} 2"));
    assert!(!metrics.text().contains("bwld_journal_commits_total 0"));

    let view = desk.json("PATCH", "/lists/test", &json!({"title": "Better"})).await.json();
    assert_eq!((view["meta"]["title"].as_str(), view["serial"].as_u64()), (Some("Better"), Some(2)));
    assert_eq!(desk.ask("GET", "/lists", b"").await.json().as_array().map(Vec::len), Some(1));
    assert_eq!(desk.ask("DELETE", "/lists/test", b"").await.status, 204);
    let gone = desk.ask("GET", "/lists/test", b"").await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "not-found"));
    assert_eq!(desk.server.get("/v1/lists/test/head", &[]).await.status, 404);
}

#[tokio::test]
async fn what_is_staged_can_be_discarded() {
    let desk = Desk::with_list().await;
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "bad.example"}]})).await;
    assert_eq!(desk.ask("DELETE", "/lists/test/staged", b"").await.status, 200);
    assert_eq!(desk.ask("GET", "/lists/test/staged", b"").await.json()["added"].as_u64(), Some(0));
}

#[tokio::test]
async fn an_import_comes_plain_or_packed_and_says_what_it_passed_over() {
    let desk = Desk::with_list().await;
    let file = b"good.example\nnot a domain at all\nother.example\n";
    let report = desk.import("?format=domains&cat=malware,phishing&rsn=court&mode=merge", "", file).await;
    assert_eq!(report.status, 200, "{report:?}");
    let report = report.json();
    assert_eq!((report["staged"]["added"].as_u64(), report["summary"]["issues_total"].as_u64()), (Some(2), Some(1)));
    let lines = desk.ask("GET", "/lists/test/staged", b"").await.json()["lines"].to_string();
    assert!(lines.contains("+domain:good.example\\tcat=malware,phishing\\trsn=court"), "{lines}");

    let strict = desk.import("?format=domains&strict=true", "", file).await.json();
    assert_eq!(strict["done"].as_bool(), Some(false));
    let zstd = bwld::wire::compress(b"zipped.example\n", 3);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"gzipped.example\n").expect("memory");
    for (encoding, body) in [("zstd", zstd), ("gzip", gzip.finish().expect("memory"))] {
        let report = desk.import("?scope=subtree&format=domains", encoding, &body).await;
        assert_eq!(report.json()["summary"]["entries"].as_u64(), Some(1), "{encoding}");
    }
    let lines = desk.ask("GET", "/lists/test/staged", b"").await.json()["lines"].to_string();
    assert!(lines.contains("+subtree:zipped.example") && lines.contains("+subtree:gzipped.example"), "{lines}");
}

#[tokio::test]
async fn an_import_that_is_cut_too_large_or_damaged_stages_nothing() {
    let desk = Desk::open(10_000).await;
    desk.json("POST", "/lists", &json!({"id": "test", "colour": "black", "title": "Test"})).await;
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "kept.example"}]})).await;
    desk.ask("POST", "/lists/test/publish", b"").await;

    let large: String = (0..2_000).map(|i| format!("a{i}.example\n")).collect();
    let answer = desk.import("?mode=replace", "", large.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
    // A small body that unpacks to more than the limit.
    let lines = vec![b'\n'; 50_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&lines).expect("memory");
    for (coding, bomb) in [("zstd", bwld::wire::compress(&lines, 19)), ("gzip", gzip.finish().expect("memory"))] {
        assert!(bomb.len() < 500, "{coding}");
        let answer = desk.import("?mode=replace&format=domains", coding, &bomb).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"), "{coding}");
    }
    let packed = bwld::wire::compress(b"a.example\nb.example\n", 3);
    let answer = desk.import("?mode=replace&format=domains", "zstd", &packed[..packed.len() - 3]).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad-encoding"), "{answer:?}");
    assert_eq!(desk.import("", "br", b"x").await.code(), "bad-encoding");
    // The client goes away in the middle: replace mode must not take the beginning for the whole.
    let mut raw = desk.server.raw().await;
    let header = format!("POST /v1/admin/lists/test/import?mode=replace HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n", BEARER.1);
    raw.send(format!("{header}content-length: 5000\r\n\r\nnew.example\n").as_bytes()).await;
    drop(raw);
    let mut raw = desk.server.raw().await;
    raw.send(format!("{header}transfer-encoding: chunked\r\n\r\nc\r\nnew.example\n\r\nNO CHUNK").as_bytes()).await;
    assert!(raw.closes().await);
    for (query, code) in [
        ("?mode=both", "bad-parameter"),
        ("?format=word", "bad-parameter"),
        ("?scope=all", "bad-parameter"),
        ("?strict=maybe", "bad-parameter"),
        ("?cat=No!", "bad-parameter"),
        ("?formt=csv", "unknown-parameter"),
    ] {
        assert_eq!(desk.import(query, "", b"x.example\n").await.code(), code, "{query}");
    }
    let staged = desk.ask("GET", "/lists/test/staged", b"").await.json();
    assert_eq!((staged["added"].as_u64(), staged["removed"].as_u64()), (Some(0), Some(0)));
}

#[tokio::test]
async fn refusals_say_where_and_why() {
    let desk = Desk::with_list().await;
    let wrong = |body: &'static str| desk.ask("POST", "/lists/test/changes", body.as_bytes());
    for (body, words) in [
        ("{\n \"put\": [{\"rule\": 5}]}", ["put[0].rule", "line 2"]),
        ("{\"put\": [{\"rule\": \"a.example\", \"atributes\": {}}]}", ["put[0]", "atributes"]),
        ("{\"put\": [{\"rule\": \"a.example\", \"attributes\": {\"age\": \"x\"}}]}", ["put[0].attributes.age", "line 1"]),
        ("{\"put\": ", ["EOF", "line 1"]),
        ("", ["EOF", "line 1"]),
    ] {
        let answer = wrong(body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad-json"), "{body}");
        let detail = answer.json()["detail"].to_string();
        assert!(words.iter().all(|word| detail.contains(word)), "{body}: {detail}");
    }
    let too_long = vec![b' '; (1 << 20) + 1];
    assert_eq!(desk.ask("POST", "/lists/test/changes", &too_long).await.code(), "too-large");
    let twice = desk.json("POST", "/lists", &json!({"id": "test", "colour": "white", "title": "Again"})).await;
    assert_eq!((twice.status, twice.code().as_str()), (409, "conflict"));
    assert_eq!(desk.ask("GET", "/lists/UPPER", b"").await.code(), "bad-list-name");
    assert_eq!(desk.ask("POST", "/lists/none/publish", b"").await.code(), "not-found");
    let note = desk.ask("POST", "/keyset", b"nonsense").await;
    assert_eq!((note.status, note.code().as_str()), (422, "refused"), "{note:?}");
    assert_eq!(desk.ask("GET", "/lists/test/staged?line=5", b"").await.code(), "unknown-parameter");
}

#[tokio::test]
async fn the_store_is_checked_and_backed_up() {
    let desk = Desk::with_list().await;
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "bad.example"}]})).await;
    desk.ask("POST", "/lists/test/publish", b"").await;
    let check = desk.ask("POST", "/check", b"").await.json();
    assert_eq!(check["problems"].as_array().map(Vec::len), Some(0), "{check}");
    let to = desk.dir.path().join("backup");
    let report = desk.json("POST", "/backup", &json!({"to": to})).await;
    assert_eq!(report.status, 200, "{report:?}");
    assert!(report.json()["files"].as_u64().is_some_and(|files| files > 2) && to.is_dir());
    assert_eq!(desk.json("POST", "/backup", &json!({"to": to})).await.code(), "refused");
    assert_eq!(desk.json("POST", "/backup", &json!({"to": "here"})).await.code(), "refused");
    let secret = desk.dir.path().join("secret");
    assert_eq!(desk.json("POST", "/backup", &json!({"to": secret, "secrets": true})).await.status, 200);
    // Each is in the audit chain, with whether secrets went with it.
    let acts = desk.store.acts(None, 4).expect("acts").into_iter().rev().map(|line| (line.act.what, line.act.who, line.act.object));
    let expected = [("store.backup", &to, "without"), ("store.backup", &to, "without"), ("store.backup-failed", &to, "without")];
    let expected = expected.into_iter().chain([("store.backup", &secret, "with")]);
    let act = |what: &str, to: &std::path::Path, secrets| {
        (what.to_owned(), "operator".to_owned(), format!("backup:{} secrets:{secrets}", to.display()))
    };
    assert_eq!(acts.collect::<Vec<_>>(), expected.map(|(what, to, secrets)| act(what, to, secrets)).collect::<Vec<_>>());
}

/// Every route by every method, without a token, with a wrong one, with the right one.
#[tokio::test]
async fn the_token_is_asked_for_before_anything_else() {
    let desk = Desk::with_list().await;
    let routes = [
        ("", "none"),
        ("/nothing", "none"),
        ("/lists", "GET POST"),
        ("/lists/test", "GET PATCH DELETE"),
        ("/lists/test/changes", "POST"),
        ("/lists/test/staged", "GET DELETE"),
        ("/lists/test/publish", "POST"),
        ("/lists/test/log", "GET"),
        ("/lists/test/import", "POST"),
        ("/lists/test/export", "GET"),
        ("/keyset", "POST"),
        ("/check", "POST"),
        ("/backup", "POST"),
    ];
    for (route, methods) in routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let path = format!("/v1/admin{route}");
            let name = format!("{method} {path}");
            for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "Basic bwld-test-token")]] {
                let answer = desk.server.raw().await.request(method, &path, headers, b"").await;
                assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{name}");
                assert!(answer.header("www-authenticate").starts_with("Bearer "), "{name}");
                assert!(!answer.text().contains("wrong") && !answer.text().contains(TOKEN), "{name} shows a token");
            }
            // Deleting the list would change the rest of the table.
            if name == "DELETE /v1/admin/lists/test" {
                continue;
            }
            let status = desk.server.raw().await.request(method, &path, &[BEARER], b"").await.status;
            match (methods, methods.contains(method)) {
                ("none", _) => assert_eq!(status, 404, "{name}"),
                (_, false) => assert_eq!(status, 405, "{name}"),
                (_, true) => assert!(![401, 404, 405, 500].contains(&status), "{name}: {status}"),
            }
        }
    }
    // The public routes neither ask for a token nor mind one.
    for path in ["/v1/lists", "/healthz", "/readyz", "/metrics"] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[BEARER]] {
            assert_eq!(desk.server.get(path, headers).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn a_large_import_is_handed_on_as_it_comes() {
    let desk = Desk::with_list().await;
    let file: String = (0..200_000).map(|i| format!("name-{i}.example\n")).collect();
    let report = tokio::time::timeout(SOON * 3, desk.import("?format=domains&dry_run=true", "", file.as_bytes())).await.expect("in time");
    assert_eq!(report.json()["staged"]["added"].as_u64(), Some(200_000));
}
