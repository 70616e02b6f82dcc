//! The life of an entry and what guards it, over a socket, by people with their own tokens.

use bwld::people::{Grants, NewAccount, NewToken, Role};
use serde_json::{Value, json};

use super::http_admin::Desk;
use super::raw::Answer;
use super::signed::list;

/// People on the list `test`, each with the token of an account of their own.
struct House {
    desk: Desk,
    tokens: Vec<(&'static str, String)>,
}

impl House {
    async fn open() -> House {
        let desk = Desk::with_list().await;
        let people = [("olga", Role::Owner), ("otto", Role::Owner), ("ed", Role::Editor), ("ann", Role::Reviewer), ("bob", Role::Reviewer)];
        let token = |(name, role): (&'static str, Role)| {
            let grants = Grants::default().on(&list("test"), role);
            desk.people.create_account(NewAccount { name: name.into(), grants }, "test").expect("an account");
            let made = desk.people.create_token(NewToken { account: name.into(), ..NewToken::default() }, "test").expect("a token");
            (name, made.secret.to_string())
        };
        let tokens = people.map(token).into();
        House { desk, tokens }
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> Answer {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).expect("one of them").1;
        let bearer = format!("Bearer {token}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut headers = vec![("authorization", bearer.as_str())];
        // What overwrites or approves says what; here whatever it is.
        let decides = ["PUT", "PATCH"].contains(&method) || path.starts_with("/cases/") && path.ends_with("/approve");
        headers.extend(decides.then_some(("if-match", "*")));
        self.desk.server.raw().await.request(method, &format!("/v1/admin/lists/test{path}"), &headers, body.as_bytes()).await
    }

    /// The reference of a proposal.
    async fn propose(&self, rule: &str) -> String {
        let made = self.ask("ed", "POST", "/cases", &json!({"words": {"rule": rule}})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["reference"].as_str().expect("a reference").to_owned()
    }

    async fn set_policy(&self, policy: &Value) {
        let set = self.ask("olga", "PUT", "/policy", policy).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }

    async fn export(&self) -> String {
        self.desk.ask("GET", "/lists/test/export", b"").await.text().to_owned()
    }
}

/// Places of what was refused.
fn places(answer: &Answer) -> Vec<String> {
    let refusals = answer.json()["refusals"].as_array().cloned().unwrap_or_default();
    refusals.iter().map(|refusal| refusal["place"].as_str().expect("a place").to_owned()).collect()
}

#[tokio::test]
async fn a_popular_name_needs_more_approvals_whichever_way_it_comes() {
    let house = House::open().await;
    house.set_policy(&json!({"popular_names": ["2,second.example", "1,www.first.example"], "popular_ranks": 1})).await;
    // By a proposal: a rank that does not count, the name itself, and a name above it.
    for (rule, popular) in [("second.example", false), ("www.first.example", true), ("subtree:first.example", true)] {
        let made = house.ask("ed", "POST", "/cases", &json!({"words": {"rule": rule}})).await.json();
        assert_eq!(made["state"], if popular { "proposed" } else { "approved" }, "{made}");
        assert_eq!(made["notices"][0]["place"] == "popular", popular, "{made}");
        let reference = made["reference"].as_str().expect("a reference");
        let publish = json!({"references": [reference]});
        if popular {
            assert_eq!(house.ask("ed", "POST", "/cases/publish", &publish).await.code(), "not-now");
            assert_eq!(house.ask("ann", "POST", &format!("/cases/{reference}/approve"), &Value::Null).await.json()["state"], "approved");
        }
        assert_eq!(house.ask("ed", "POST", "/cases/publish", &publish).await.status, 200);
    }
    // By staging, and in bulk.
    let publish = || house.ask("ed", "POST", "/publish", &Value::Null);
    house.set_policy(&json!({"popular_names": ["big.example"], "popular_approvals": 2})).await;
    for bulk in [false, true] {
        if bulk {
            let lines = b"a.example\nbig.example\nz.example\n";
            assert_eq!(house.desk.import("?format=domains", "identity", lines).await.status, 200);
        } else {
            let put = json!({"put": [{"rule": "subtree:example.big.example"}, {"rule": "subtree:big.example"}]});
            assert_eq!(house.ask("ed", "POST", "/changes", &put).await.status, 200);
        }
        let refused = publish().await;
        assert_eq!(places(&refused), ["guard:approvals"], "{}", refused.text());
        assert!(refused.text().contains("big.example"), "it says which name: {}", refused.text());
        let review = house.ask("ann", "GET", "/review", &Value::Null).await.json();
        assert_eq!(review["needed"], 2, "{review}");
        let digest = json!({"digest": review["digest"]});
        assert_eq!(house.ask("ann", "POST", "/approve", &digest).await.status, 200);
        assert_eq!(places(&publish().await), ["guard:approvals"], "one is not two");
        assert_eq!(house.ask("bob", "POST", "/approve", &digest).await.status, 200);
        assert_eq!(publish().await.status, 200);
    }
    assert!(house.export().await.contains("domain:big.example"));
    let wrong = house.ask("olga", "PUT", "/policy", &json!({"popular_approvals": 0, "popular_names": ["no name"]})).await;
    assert_eq!(places(&wrong), ["popular_approvals", "popular_names"]);
}

#[tokio::test]
async fn what_no_approval_would_bring_onto_the_list_is_refused_when_it_is_proposed() {
    let house = House::open().await;
    house.set_policy(&json!({"protected": ["bank.example"], "widest_v4": 24})).await;
    for rule in ["co.uk", "subtree:co.uk", "bank.example", "subtree:bank.example", "10.0.0.0/16", "2001:db8::/31"] {
        let refused = house.ask("ed", "POST", "/cases", &json!({"words": {"rule": rule}})).await;
        assert_eq!((refused.status, places(&refused)), (422, vec!["words.rule".to_owned()]), "{rule}: {}", refused.text());
        assert!(!refused.json()["refusals"][0]["hint"].as_str().expect("a hint").is_empty(), "{rule}");
    }
    // Nor by changing the words afterwards.
    let reference = house.propose("fine.example").await;
    let edit = json!({"words": {"rule": "bank.example"}});
    assert_eq!(places(&house.ask("ed", "PATCH", &format!("/cases/{reference}"), &edit).await), ["words.rule"]);
}

#[tokio::test]
async fn the_same_target_on_both_colours_is_said_when_it_is_proposed_approved_and_published_and_in_a_list_of_all() {
    let house = House::open().await;
    house.set_policy(&json!({"approvals": 1})).await;
    let white = json!({"id": "white", "colour": "white", "title": "White"});
    assert_eq!(house.desk.json("POST", "/lists", &white).await.status, 201);
    let names: Vec<Value> = (0..7).map(|n| json!({"rule": format!("subtree:n{n}.example")})).collect();
    house.desk.json("POST", "/lists/white/changes", &json!({"put": names})).await;
    assert_eq!(house.desk.ask("POST", "/lists/white/publish", b"").await.status, 200);

    let made = house.ask("ed", "POST", "/cases", &json!({"words": {"rule": "n1.example"}})).await.json();
    let says = |answer: &Value| {
        assert_eq!(answer["place"], "both-colours", "{answer}");
        assert!(answer["reason"].as_str().expect("a reason").contains("subtree:n1.example is on list white"), "{answer}");
    };
    says(&made["notices"][0]);
    let reference = made["reference"].as_str().expect("a reference");
    says(&house.ask("ann", "POST", &format!("/cases/{reference}/approve"), &Value::Null).await.json()["notices"][0]);
    says(&house.ask("ed", "POST", "/cases/publish", &Value::Null).await.json()["changes"]["notices"][0]);
    house.set_policy(&json!({})).await;
    let names: Vec<Value> = (2..5).map(|n| json!({"rule": format!("n{n}.example")})).collect();
    house.ask("ed", "POST", "/changes", &json!({"put": names})).await;
    let published = house.ask("ed", "POST", "/publish", &Value::Null).await.json();
    assert_eq!(published["changes"]["notices"].as_array().map(Vec::len), Some(3), "{published}");
    let audit = house.desk.ask("GET", "/audit?limit=100", b"").await.text().to_owned();
    assert_eq!(audit.matches("both-colours:n").count(), 4, "each publication: {audit}");
    assert_eq!(audit.matches("case.notice").count(), 2, "{audit}");

    // All of them, page by page.
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.desk.ask("GET", &format!("/conflicts?limit=3&cursor={cursor}"), b"").await.json();
        let rules = page["conflicts"].as_array().expect("conflicts").iter();
        all.extend(rules.map(|conflict| conflict["black_rule"].as_str().expect("a rule").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    all.sort();
    assert_eq!(all, ["domain:n1.example", "domain:n2.example", "domain:n3.example", "domain:n4.example"]);
    assert_eq!(house.desk.ask("GET", "/conflicts?list=white", b"").await.json()["conflicts"].as_array().map(Vec::len), Some(4));
    assert_eq!(house.desk.ask("GET", "/conflicts?cursor=x", b"").await.code(), "refused");
    // A name that the black list has twice makes two conflicts: with pages of one each comes once, on a page of its own.
    house.ask("ed", "POST", "/changes", &json!({"put": [{"rule": "subtree:n2.example"}]})).await;
    house.ask("ed", "POST", "/publish", &Value::Null).await;
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.desk.ask("GET", &format!("/conflicts?limit=1&cursor={cursor}"), b"").await.json();
        let conflicts = page["conflicts"].as_array().expect("conflicts");
        assert!(conflicts.len() <= 1, "{page}");
        all.extend(conflicts.iter().map(|conflict| conflict["black_rule"].as_str().expect("a rule").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    all.sort();
    assert_eq!(all, ["domain:n1.example", "domain:n2.example", "domain:n3.example", "domain:n4.example", "subtree:n2.example"]);
    // Who reads only one of the two lists is not told.
    let bearer = format!("Bearer {}", house.tokens[2].1);
    let mine = house.desk.server.raw().await.request("GET", "/v1/admin/conflicts", &[("authorization", &bearer)], b"").await.json();
    assert_eq!(mine["conflicts"].as_array().map(Vec::len), Some(0));
}
