//! Log-in by a provider of identities, against one that does what the standard says, and what an attacker would have it do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use bwld::http::OidcOptions;
use bwld::list::Digest;
use bwld::people::{AccountChange, Grants, Identity, NewAccount, Role};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::http_admin::Desk;
use super::raw::Answer;
use super::signed;

const REDIRECT: &str = "https://bwld.example/v1/admin/oidc/return";

/// What is wrong with the ID tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Twist {
    Nothing,
    OtherNonce,
    NoNonce,
    OtherAudience,
    TwoAudiences,
    OtherIssuer,
    Expired,
    OfTheFuture,
    AlgorithmNone,
    /// HS256 with the public key as the secret.
    Confused,
    OtherKey,
    UnknownKey,
    Unsigned,
}

struct Grant {
    nonce: String,
    challenge: String,
}

struct Inner {
    issuer: String,
    key: rcgen::KeyPair,
    other: rcgen::KeyPair,
    edwards: bool,
    twist: Mutex<Twist>,
    codes: Mutex<HashMap<String, Grant>>,
    issued: AtomicU32,
}

#[derive(Clone)]
struct Provider(Arc<Inner>);

impl Provider {
    async fn start(edwards: bool) -> Provider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let make = || {
            let kind = if edwards { &rcgen::PKCS_ED25519 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
            rcgen::KeyPair::generate_for(kind).expect("a key")
        };
        let inner = Inner {
            issuer,
            key: make(),
            other: make(),
            edwards,
            twist: Mutex::new(Twist::Nothing),
            codes: Mutex::default(),
            issued: AtomicU32::new(0),
        };
        let provider = Provider(Arc::new(inner));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper_util::service::TowerToHyperService::new(routes.clone());
                let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                tokio::spawn(async move { drop(builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await) });
            }
        });
        provider
    }

    fn options(&self) -> OidcOptions {
        OidcOptions {
            issuer: self.0.issuer.clone(),
            client_id: "bwld client".into(),
            client_secret: Some(zeroize::Zeroizing::new("s3cret/of:the client".into())),
            redirect: REDIRECT.into(),
            tls: bwld::follower::ClientTls::from_texts("", ""),
        }
    }

    fn twist(&self, twist: Twist) {
        *self.0.twist.lock().expect("no panic") = twist;
    }

    /// What the person's browser does at the provider: it is asked at this address, and sent back with a code and the state.
    fn authorize(&self, location: &str) -> (String, String) {
        let url = url::Url::parse(location).expect("an address");
        assert!(location.starts_with(&format!("{}/authorize?", self.0.issuer)), "{location}");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let is = |name: &str, value: &str| assert_eq!(query[name], value, "{name}");
        is("response_type", "code");
        is("client_id", "bwld client");
        is("redirect_uri", REDIRECT);
        is("scope", "openid");
        is("code_challenge_method", "S256");
        let mut codes = self.0.codes.lock().expect("no panic");
        let code = format!("code+/{}", self.0.issued.fetch_add(1, Ordering::SeqCst));
        codes.insert(code.clone(), Grant { nonce: query["nonce"].clone(), challenge: query["code_challenge"].clone() });
        (code, query["state"].clone())
    }

    fn id_token(&self, nonce: &str) -> String {
        let (inner, twist) = (&self.0, *self.0.twist.lock().expect("no panic"));
        let now = signed::now().unix();
        let mut claims = json!({
            "iss": inner.issuer, "sub": "248289761001", "aud": "bwld client", "exp": now + 300, "iat": now, "nonce": nonce,
        });
        match twist {
            Twist::OtherNonce => claims["nonce"] = "another".into(),
            Twist::NoNonce => drop(claims.as_object_mut().expect("an object").remove("nonce")),
            Twist::OtherAudience => claims["aud"] = "another client".into(),
            Twist::TwoAudiences => claims["aud"] = json!(["bwld client", "another client"]),
            Twist::OtherIssuer => claims["iss"] = "https://evil.example".into(),
            Twist::Expired => (claims["exp"], claims["iat"]) = ((now - 61).into(), (now - 400).into()),
            Twist::OfTheFuture => claims["iat"] = (now + 3_600).into(),
            _ => {}
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        if twist == Twist::AlgorithmNone {
            return format!("{}.{}.", part(&json!({"alg": "none", "kid": "k1"})), part(&claims));
        }
        let mut header = Header::new(if inner.edwards { Algorithm::EdDSA } else { Algorithm::ES256 });
        header.kid = Some(if twist == Twist::UnknownKey { "k9" } else { "k1" }.into());
        let pair = if matches!(twist, Twist::OtherKey | Twist::UnknownKey) { &inner.other } else { &inner.key };
        let mut key = match inner.edwards {
            true => EncodingKey::from_ed_der(&pair.serialize_der()),
            false => EncodingKey::from_ec_der(&pair.serialize_der()),
        };
        if twist == Twist::Confused {
            header.alg = Algorithm::HS256;
            key = EncodingKey::from_secret(pair.public_key_raw());
        }
        let token = jsonwebtoken::encode(&header, &claims, &key).expect("signed");
        if twist == Twist::Unsigned { token[..token.rfind('.').expect("three parts") + 1].to_owned() } else { token }
    }
}

async fn description(State(provider): State<Provider>) -> Json<Value> {
    let issuer = &provider.0.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256", "EdDSA"],
    }))
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let raw = provider.0.key.public_key_raw();
    let encoded = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let key = match provider.0.edwards {
        true => json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "use": "sig", "x": encoded(raw)}),
        false => json!({"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "x": encoded(&raw[1..33]), "y": encoded(&raw[33..])}),
    };
    // One of a kind that nobody knows does not spoil the others.
    Json(json!({"keys": [{"kty": "NEW", "kid": "k0"}, key]}))
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Result<Json<Value>, axum::http::StatusCode> {
    let refused = axum::http::StatusCode::BAD_REQUEST;
    let basic = STANDARD.encode("bwld+client:s3cret%2Fof%3Athe+client");
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Basic {basic}")) {
        return Err(axum::http::StatusCode::UNAUTHORIZED);
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let grant = form.get("code").and_then(|code| provider.0.codes.lock().expect("no panic").remove(code)).ok_or(refused)?;
    let verifier = form.get("code_verifier").ok_or(refused)?;
    let proven = URL_SAFE_NO_PAD.encode(Digest::of(verifier).0) == grant.challenge;
    if !proven || form.get("redirect_uri").map(String::as_str) != Some(REDIRECT) {
        return Err(refused);
    }
    Ok(Json(json!({"access_token": "unused", "token_type": "Bearer", "id_token": provider.id_token(&grant.nonce)})))
}

/// A publisher that believes this provider, with one linked account.
async fn desk(provider: &Provider) -> Desk {
    let desk = Desk::open_with_oidc(provider.options()).await;
    desk.people.create_account(NewAccount { name: "anna".into(), grants: Grants::everywhere(Role::Editor) }, "operator").expect("made");
    let identity = Some(Some(Identity { issuer: provider.0.issuer.clone(), subject: "248289761001".into() }));
    desk.people.change_account("anna", AccountChange { identity, ..AccountChange::default() }, "operator").expect("linked");
    desk
}

/// Where the browser is sent, and the cookie it keeps.
async fn begin(desk: &Desk) -> (String, String) {
    let begun = desk.server.get("/v1/admin/oidc", &[]).await;
    assert_eq!(begun.status, 303, "{begun:?}");
    let set = begun.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("Secure") && set.contains("SameSite=Lax"), "{set}");
    (begun.header("location").to_owned(), set.split(';').next().expect("a pair").to_owned())
}

async fn come_back(desk: &Desk, cookie: &str, code: &str, state: &str) -> Answer {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("code", code).append_pair("state", state).finish();
    desk.server.get(&format!("/v1/admin/oidc/return?{query}"), &[("cookie", cookie)]).await
}

async fn whole(desk: &Desk, provider: &Provider) -> Answer {
    let (location, cookie) = begin(desk).await;
    let (code, state) = provider.authorize(&location);
    come_back(desk, &cookie, &code, &state).await
}

#[tokio::test]
async fn who_is_linked_comes_in_by_the_provider() {
    for edwards in [false, true] {
        let provider = Provider::start(edwards).await;
        let desk = desk(&provider).await;
        let came = whole(&desk, &provider).await;
        assert_eq!((came.status, came.json()["account"].as_str()), (200, Some("anna")), "{came:?}");
        let cookie = came.header("set-cookie").split(';').next().expect("a pair").to_owned();
        let me = desk.server.get("/v1/admin/me", &[("cookie", &cookie)]).await.json();
        assert_eq!(me["via"].as_str(), Some("session"));
        desk.people.set_disabled("anna", true, "operator").expect("set");
        assert_eq!(whole(&desk, &provider).await.status, 401);
        desk.people.set_disabled("anna", false, "operator").expect("set");
        let unlinked = AccountChange { identity: Some(None), ..AccountChange::default() };
        desk.people.change_account("anna", unlinked, "operator").expect("unlinked");
        assert_eq!(whole(&desk, &provider).await.status, 401, "it makes no accounts");
    }
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_lets_nobody_in() {
    for edwards in [false, true] {
        let provider = Provider::start(edwards).await;
        let desk = desk(&provider).await;
        for twist in [
            Twist::OtherNonce,
            Twist::NoNonce,
            Twist::OtherAudience,
            Twist::TwoAudiences,
            Twist::OtherIssuer,
            Twist::Expired,
            Twist::OfTheFuture,
            Twist::AlgorithmNone,
            Twist::Confused,
            Twist::OtherKey,
            Twist::UnknownKey,
            Twist::Unsigned,
        ] {
            provider.twist(twist);
            let refused = whole(&desk, &provider).await;
            assert_eq!((refused.status, refused.header("set-cookie")), (401, ""), "{twist:?}: {refused:?}");
        }
        provider.twist(Twist::Nothing);
        assert_eq!(whole(&desk, &provider).await.status, 200);
    }
}

#[tokio::test]
async fn a_log_in_comes_back_once_to_the_browser_that_began_it() {
    let provider = Provider::start(false).await;
    let desk = desk(&provider).await;
    let (location, cookie) = begin(&desk).await;
    let (code, state) = provider.authorize(&location);
    let (other_location, other_cookie) = begin(&desk).await;
    let (other_code, _) = provider.authorize(&other_location);
    assert_eq!(come_back(&desk, "a=b", &code, &state).await.status, 401, "without the cookie");
    assert_eq!(come_back(&desk, &other_cookie, &code, &state).await.status, 401, "another browser's");
    assert_eq!(come_back(&desk, "__Host-bwld-oidc=made-up", &code, "made-up").await.status, 401, "never begun");
    assert_eq!(come_back(&desk, &cookie, &code, &state).await.status, 200);
    assert_eq!(come_back(&desk, &cookie, &code, &state).await.status, 401, "replayed");
    // Another code in a log-in of one's own: PKCE ties each to its own.
    let (location, cookie) = begin(&desk).await;
    let (_, state) = provider.authorize(&location);
    assert_eq!(come_back(&desk, &cookie, &other_code, &state).await.status, 502, "a code that was injected");
    let refused = desk.server.get("/v1/admin/oidc/return?error=access_denied&state=x", &[]).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_log_in() {
    let desk = super::http_people::desk().await;
    assert_eq!(desk.server.get("/v1/admin/oidc", &[]).await.code(), "no-oidc");
    assert_eq!(desk.server.get("/v1/admin/oidc/return?code=1&state=2", &[]).await.code(), "no-oidc");
}

#[test]
fn a_provider_beyond_this_machine_is_asked_by_https_only() {
    let clock = Arc::new(bwld::store::FakeClock::at(signed::now()));
    let made = |issuer: &str| {
        let options = OidcOptions {
            issuer: issuer.into(),
            client_id: "c".into(),
            client_secret: None,
            redirect: REDIRECT.into(),
            tls: bwld::follower::ClientTls::from_texts("", ""),
        };
        bwld::http::Oidc::new(options, clock.clone()).is_ok()
    };
    assert!(made("https://id.example") && made("http://127.0.0.1:5556/dex"));
    for wrong in ["http://id.example", "ftp://id.example", "id.example", "http://127.0.0.1.evil.example"] {
        assert!(!made(wrong), "{wrong}");
    }
}
