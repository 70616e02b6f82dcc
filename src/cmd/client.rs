//! The operator's side of `/v1/admin`: one writer exists, the daemon, and the shell talks to it.
//!
//! Guarantees: the token goes to the named server and nowhere else (no proxy, no redirect); an answer is bounded; a
//! refusal is shown with every reason the server gave.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::follower::ClientTls;
use crate::list::ListId;
use crate::publisher::Refusal;
use crate::store::read_secret;

use super::config::{Loaded, Override, Source};
use super::{exit::Ended, files, out};

/// Largest answer that is held in memory, in octets. Exports are streamed and have no limit.
const MAX_ANSWER: usize = 64 << 20;

/// Where the daemon is and who asks.
#[derive(clap::Args, Debug, Clone)]
pub struct Connect {
    /// Address of the daemon [default: $BWLD_SERVER, the configuration, http://127.0.0.1:7080]
    #[arg(long, value_name = "URL", help_heading = "Daemon")]
    pub server: Option<String>,
    /// File with the operator's token [default: $BWLD_TOKEN_FILE, the configuration, operator.token in the data folder]
    #[arg(long, value_name = "FILE", help_heading = "Daemon")]
    pub token_file: Option<String>,
    /// The publisher's data folder, to find token and address [default: $BWLD_DATA, ./bwld-data]
    #[arg(long, value_name = "DIR", help_heading = "Daemon")]
    pub data: Option<String>,
}

impl Connect {
    fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        let mut push = |option, key, text: &Option<String>| all.extend(text.clone().map(|t| (option, key, t)));
        push("--server", "client.server", &self.server);
        push("--token-file", "client.token_file", &self.token_file);
        push("--data", "serve.data", &self.data);
        all
    }

    /// The configuration with these options over it.
    ///
    /// # Errors
    /// Of the configuration.
    pub fn load(&self, config: Option<&Path>) -> anyhow::Result<Loaded> {
        Ok(Loaded::load(config, &self.overrides())?)
    }

    /// Opens the way to the daemon. Nothing is sent yet.
    ///
    /// # Errors
    /// Of the configuration, or when there is no token.
    pub fn open(&self, config: Option<&Path>) -> anyhow::Result<Api> {
        self.connect(config, true)
    }

    /// The same without a token, for what everybody may ask.
    ///
    /// # Errors
    /// Of the configuration.
    pub fn open_public(&self, config: Option<&Path>) -> anyhow::Result<Api> {
        self.connect(config, false)
    }

    fn connect(&self, config: Option<&Path>, operator: bool) -> anyhow::Result<Api> {
        let loaded = self.load(config)?;
        let settings = loaded.config();
        let data = PathBuf::from(&settings.serve.data);
        let file = match settings.client.token_file.as_str() {
            "" => data.join(files::TOKEN),
            named => named.into(),
        };
        // A daemon of this very data folder says where it listens; that is better than a guess.
        let address =
            (*loaded.source("client.server") == Source::Default).then(|| std::fs::read_to_string(data.join(files::ADDRESS)).ok()).flatten();
        let tls = ClientTls::from_texts(&settings.client.authorities, &settings.client.identity);
        let server = address.map_or(settings.client.server, |a| a.trim().to_owned());
        Api::new(&server, operator.then_some(file.as_path()), &tls, Duration::from_secs(settings.client.timeout))
    }
}

/// What the server says when it refuses (RFC 9457, with `code` and `refusals`).
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
    refusals: Vec<Refusal>,
}

/// A refusal by the daemon.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// The server's code, as `not-found`.
    pub code: String,
    /// Title, detail and refusals as lines.
    pub message: String,
}

/// A way to the daemon.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    token: Option<zeroize::Zeroizing<String>>,
    session: Option<Session>,
    timeout: Duration,
}

/// A session: its cookie, and what every call that changes something must carry.
#[derive(Debug, Clone)]
struct Session {
    cookie: zeroize::Zeroizing<String>,
    csrf: zeroize::Zeroizing<String>,
}

impl Api {
    /// A way to the daemon at `server`; without a token file only what is public can be asked.
    ///
    /// # Errors
    /// A wrong address, or an unreadable token.
    pub fn new(server: &str, token_file: Option<&Path>, tls: &ClientTls, timeout: Duration) -> anyhow::Result<Api> {
        let base = Url::parse(&format!("{}/", server.trim_end_matches('/')))
            .map_err(|e| Ended::Usage(format!("{server} is not an address ({e}); expected http://HOST:PORT")))?;
        let token = token_file.map(read_token).transpose()?;
        let http = tls
            .apply(reqwest::Client::builder())?
            .user_agent(concat!("bwld/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .context("setting up the HTTP client")?;
        Ok(Api { http, base, token, session: None, timeout })
    }

    /// The same way in a session that begins with this log-in.
    pub async fn log_in(&self, offered: &impl Serialize) -> anyhow::Result<Api> {
        const OTHER: &str = "the server's answer begins no session; is it a bwld of another version?";
        let response = self.send(self.request(Method::POST, "v1/admin/login")?.json(offered)).await?;
        let set = response.headers().get("set-cookie").and_then(|set| set.to_str().ok()).context(OTHER)?;
        let cookie = zeroize::Zeroizing::new(set.split(';').next().unwrap_or_default().to_owned());
        let mut begun: serde_json::Value = understood(&bounded(response).await?)?;
        let serde_json::Value::String(csrf) = begun["csrf"].take() else { bail!(OTHER) };
        Ok(Api { token: None, session: Some(Session { cookie, csrf: csrf.into() }), ..self.clone() })
    }

    /// GET, read as JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.json(self.request(Method::GET, path)?.timeout(self.timeout)).await
    }

    /// GET, read as JSON, with its tag.
    pub async fn get_tagged<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<(T, String)> {
        let response = self.send(self.request(Method::GET, path)?.timeout(self.timeout)).await?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.context("the server's answer has no tag; is it a bwld of another version?")?.to_owned();
        Ok((understood(&bounded(response).await?)?, tag))
    }

    /// Sends JSON by `method`, to be taken only if what `tag` was read with is unchanged; reads JSON.
    pub async fn send_if<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize, tag: &str) -> anyhow::Result<T> {
        self.json(self.request(method, path)?.header("if-match", tag).json(body)).await
    }

    /// Sends JSON by `method`, to be taken only if nothing is there yet; reads JSON.
    pub async fn send_new<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.json(self.request(method, path)?.header("if-none-match", "*").json(body)).await
    }

    /// GET, read as text.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.send(self.request(Method::GET, path)?.timeout(self.timeout)).await?;
        String::from_utf8(bounded(response).await?).context("the server's answer is not text")
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(self.request(Method::DELETE, path)?.timeout(self.timeout)).await.map(|_| ())
    }

    /// DELETE that only says what it would do.
    pub async fn would_delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.json(self.request(Method::DELETE, &format!("{path}?dry_run=true"))?.timeout(self.timeout)).await
    }

    /// Sends JSON by `method` (POST or PATCH) and reads JSON. Publishing a large list takes its time: there is no time limit.
    pub async fn send_json<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.json(self.request(method, path)?.json(body)).await
    }

    /// Sends a body as it is and reads JSON; no time limit.
    pub async fn send_body<T: DeserializeOwned>(&self, path: &str, body: reqwest::Body) -> anyhow::Result<T> {
        self.json(self.request(Method::POST, path)?.header("content-type", "text/plain").body(body)).await
    }

    /// GET as a stream.
    pub async fn stream(&self, path: &str) -> anyhow::Result<Response> {
        self.send(self.request(Method::GET, path)?).await
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<reqwest::RequestBuilder> {
        let url = self.base.join(path).with_context(|| format!("{path} is no path"))?;
        let request = self.http.request(method, url);
        Ok(match (&self.token, &self.session) {
            (Some(token), _) => request.bearer_auth(token.as_str()),
            (None, Some(session)) => request.header("cookie", session.cookie.as_str()).header("bwld-csrf", session.csrf.as_str()),
            (None, None) => request,
        })
    }

    async fn json<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> anyhow::Result<T> {
        let response = self.send(request).await?;
        let bytes = bounded(response).await?;
        // 204 and an empty body are `null`.
        understood(if bytes.is_empty() { b"null" } else { &bytes })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        let hint = if error.is_connect() {
            "; start one with `bwld serve`, or name another with --server"
        } else if error.is_timeout() {
            "; it may be busy: try again, or raise client.timeout"
        } else {
            ""
        };
        let error = error.without_url();
        anyhow::Error::new(error).context(format!("no answer from the daemon at {}{hint}", self.base))
    }

    async fn refused(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED && self.token.is_some() {
            let message = format!("{} does not accept this token; name the right file with --token-file", self.base);
            return Refused { status: status.as_u16(), code: "unauthorized".into(), message }.into();
        }
        let problem: Problem = match bounded(response).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Problem::default(),
        };
        let mut message = match (problem.title.as_str(), problem.detail.as_str()) {
            ("", "") => format!("the server answered {status}"),
            (title, "") => title.to_owned(),
            // The detail is the first of the refusals, which follow.
            (title, _) if !title.is_empty() && !problem.refusals.is_empty() => title.to_owned(),
            ("", detail) => detail.to_owned(),
            (title, detail) if detail.contains(title) => detail.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        if problem.code == "changed-meanwhile" {
            message.push_str("\n      nothing was done; look at what is there now, and run it again");
        }
        for refusal in &problem.refusals {
            message.push_str(&format!("\n  {}", refusal_text(refusal)));
        }
        Refused { status: status.as_u16(), code: problem.code, message: message.lines().map(out::visible).collect::<Vec<_>>().join("\n") }
            .into()
    }
}

/// A refusal as one line, with its hint on a second one.
pub fn refusal_text(refusal: &Refusal) -> String {
    let text = if refusal.text.is_empty() { String::new() } else { format!(" \"{}\"", out::visible(&refusal.text)) };
    let hint = if refusal.hint.is_empty() { String::new() } else { format!("\n      {}", refusal.hint) };
    // `put[3].rule` is a place in the request, which the operator has not written; the text is.
    let place = if text.is_empty() || !refusal.place.contains('[') { refusal.place.as_str() } else { "" };
    format!("{}: {}{hint}", format!("{place}{text}").trim_start(), refusal.reason)
}

/// Path of a list's admin resource.
pub fn list_path(list: &ListId, rest: &str) -> String {
    format!("v1/admin/lists/{list}{rest}")
}

fn understood<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes).context("the server's answer is not understood; is it a bwld of another version?")
}

async fn bounded(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the server's answer broke off")? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            bail!("the server's answer is larger than {MAX_ANSWER} octets");
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn read_token(file: &Path) -> anyhow::Result<zeroize::Zeroizing<String>> {
    let token = read_secret(file).with_context(|| {
        format!("reading the operator's token {}; `bwld serve` makes it at its first start, --token-file names another", file.display())
    })?;
    let token = zeroize::Zeroizing::new(token.trim().to_owned());
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("{} holds no token", file.display());
    }
    Ok(token)
}
