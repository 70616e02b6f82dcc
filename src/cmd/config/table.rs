//! The one table of settings: section, key, kind with range, default, meaning. Structs, the commented example,
//! `config show` and every check are made from it.

use super::kinds::{Kind, LEVELS, Value, address, any, fingerprint, list_choice, network, origin, some, url};

/// One key.
#[derive(Debug)]
pub struct Key {
    /// The section.
    pub section: &'static str,
    /// The name within it.
    pub name: &'static str,
    /// What it means, one line each.
    pub docs: &'static [&'static str],
    /// What it holds.
    pub kind: Kind,
    /// What it holds when nobody says otherwise.
    pub default: fn() -> Value,
}

impl Key {
    /// `section.name`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that overrides it.
    pub fn variable(&self) -> String {
        format!("BWLD_{}_{}", self.section, self.name).to_ascii_uppercase()
    }
}

macro_rules! rust_type {
    (Bool) => { bool };
    (Integer) => { u64 };
    (Choice) => { String };
    (Text) => { String };
    (Texts) => { Vec<String> };
}

macro_rules! value_of {
    (Bool, $v:expr) => {
        Value::Bool($v)
    };
    (Integer, $v:expr) => {
        Value::Integer($v)
    };
    (Choice, $v:expr) => {
        Value::Text(String::from($v))
    };
    (Text, $v:expr) => {
        Value::Text(String::from($v))
    };
    (Texts, $v:expr) => {
        Value::Texts({
            let texts: &[&str] = &$v;
            texts.iter().map(|t| String::from(*t)).collect()
        })
    };
}

macro_rules! take {
    (Bool, $v:expr) => {
        if let Value::Bool(v) = $v { v } else { unreachable!("checked against its kind") }
    };
    (Integer, $v:expr) => {
        if let Value::Integer(v) = $v { v } else { unreachable!("checked against its kind") }
    };
    (Choice, $v:expr) => {
        take!(Text, $v)
    };
    (Text, $v:expr) => {
        if let Value::Text(v) = $v { v } else { unreachable!("checked against its kind") }
    };
    (Texts, $v:expr) => {
        if let Value::Texts(v) = $v { v } else { unreachable!("checked against its kind") }
    };
}

macro_rules! settings {
    ($( $(#[doc = $sdoc:literal])* $section:ident: $Section:ident {
        $( $(#[doc = $doc:literal])* $key:ident: $kind:ident $(($($arg:expr),*))? = $default:expr; )*
    } )*) => {
        $(
            $(#[doc = $sdoc])*
            #[derive(Clone, Debug)]
            pub struct $Section { $( $(#[doc = $doc])* pub $key: rust_type!($kind), )* }
        )*

        /// All that is in force.
        #[derive(Clone, Debug)]
        pub struct Config {
            $( $(#[doc = $sdoc])* pub $section: $Section, )*
            /// Files for filters.
            pub outputs: Vec<super::OutputSection>,
        }

        /// Sections in the order of the example, each with its meaning.
        pub const SECTIONS: &[(&str, &[&str])] = &[ $( (stringify!($section), &[$($sdoc),*]), )* ];

        /// All keys in the order of the example.
        pub const KEYS: &[Key] = &[ $( $( Key {
            section: stringify!($section),
            name: stringify!($key),
            docs: &[$($doc),*],
            kind: Kind::$kind $(($($arg),*))?,
            default: || value_of!($kind, $default),
        }, )* )* ];

        impl Config {
            /// From values in the order of [`KEYS`], each checked against its kind.
            pub(super) fn from_values(values: impl IntoIterator<Item = Value>) -> Config {
                let mut values = values.into_iter();
                Config { $( $section: $Section { $(
                    $key: take!($kind, values.next().expect("one value for each key")),
                )* }, )* outputs: Vec::new() }
            }
        }
    };
}

settings! {
    /// The publisher's daemon, `bwld serve`.
    serve: Serve {
        /// Folder that holds everything the publisher must not lose. Also $BWLD_DATA, and --data.
        data: Text(some) = "./bwld-data";
        /// Address and port to listen on. Port 0 takes a free one and writes it to DATA/address.
        /// Set `tls_certificate` before you listen on anything but loopback: the operator's token travels here.
        listen: Text(address) = "127.0.0.1:7080";
        /// The publisher's name: a lower-case host name that stands in everything it signs. Fixed once the first
        /// key set has been made.
        origin: Text(origin) = "bwld.localhost";
        /// Certificate of the server in PEM, with those that lead to an authority behind it. Read again when it changes.
        /// Empty: HTTP without TLS.
        tls_certificate: Text(any) = "";
        /// Its private key in PEM.
        tls_key: Text(any) = "";
        /// Certificates in PEM of authorities: then only clients connect whose certificate comes from one of them. Empty: anybody may.
        tls_client_authorities: Text(any) = "";
        /// Threads that serve requests.
        workers: Integer(1, 64) = 2;
        /// Take in and publish the lists that come with this program, when the data folder does not know them.
        shipped_lists: Bool = true;
        /// Connections at one time; further ones wait.
        max_connections: Integer(16, 1_000_000) = 10000;
        /// Connections at one time from one address. 0: no limit. Loopback is exempt: there a proxy may stand.
        max_per_peer: Integer(0, 1_000_000) = 512;
        /// Networks or addresses of your own proxies. Only their word is taken for whom a request comes from, in the audit chain, in rate
        /// limits and lock-outs: the right-most address in `proxy_field` that is none of them.
        proxies: Texts(network) = [];
        /// What your proxies write that into. Whatever a client sends of the other is not looked at.
        proxy_field: Choice(&["x-forwarded-for", "forwarded"]) = "x-forwarded-for";
        /// Subscribers that are pushed to at one time; further ones are asked to come back later.
        max_subscribers: Integer(0, 1_000_000) = 8000;
        /// Long polls at one time.
        max_long_polls: Integer(0, 1_000_000) = 4000;
        /// Seconds that followers who poll are told to wait.
        poll_seconds: Integer(1, 86_400) = 60;
        /// Seconds a request's header may take.
        header_seconds: Integer(1, 300) = 10;
        /// Seconds a connection may stay without a request.
        idle_seconds: Integer(1, 3_600) = 90;
        /// Seconds a peer may leave unread what is sent to it.
        stall_seconds: Integer(1, 3_600) = 30;
        /// Seconds a shutdown waits for requests in progress.
        drain_seconds: Integer(1, 300) = 10;
    }

    /// What the publisher lets pass and how long its word holds.
    publisher: Publisher {
        /// File with names that may never be blocked, one a line. Empty: the set that comes with this program.
        protected: Text(any) = "";
        /// File with names that many people visit, one a line, the best known first; what stands before a comma is passed over (RANK,NAME).
        /// To block one of them needs one approval more. Empty: none.
        popular: Text(any) = "";
        /// Seconds between two looks at what is due: expiries, scheduled publications.
        tick_seconds: Integer(1, 3_600) = 20;
        /// One publication may add, remove or replace this many percent of a list, or `guard_entries` entries; it is refused when it
        /// exceeds both. `bwld publish --force max-added` or `--force max-removed` lets one pass.
        guard_percent: Integer(0, 10_000) = 20;
        /// Entries. See `guard_percent`.
        guard_entries: Integer(0, 1_000_000_000) = 1000;
        /// Seconds until a head goes stale. It is signed again after a quarter of that.
        head_lifetime: Integer(2, 2_764_800) = 86400;
        /// Days for which deltas are kept: a follower that was away for longer loads the snapshot.
        delta_days: Integer(1, 3_650) = 30;
    }

    /// Lists as response policy zones, part of `bwld serve`. Zones, keys and the catalog zone are sections of their own: [[dns.zone]], [[dns.key]]
    /// and [dns.catalog], see OPERATIONS.md. Without any [[dns.zone]] each list is the zone LIST.rpz.ORIGIN, for this machine only.
    dns: Dns {
        /// Addresses and ports for transfers, UDP and TCP. Empty: no DNS.
        listen: Texts(address) = [];
        /// Addresses and ports for transfers over TLS. Needs `tls_certificate` and `tls_key`.
        tls_listen: Texts(address) = [];
        /// Certificate in PEM, with those that lead to an authority behind it. Read again when it changes.
        tls_certificate: Text(any) = "";
        /// Its private key in PEM.
        tls_key: Text(any) = "";
        /// Seconds after which secondaries ask by themselves whether there is something new (SOA refresh and retry).
        refresh_seconds: Integer(1, 86_400) = 60;
        /// Connections at one time; for further ones those that wait longest for a request are closed.
        max_connections: Integer(1, 100_000) = 1000;
        /// Connections at one time from one address.
        max_per_source: Integer(1, 100_000) = 32;
        /// Transfers at one time, a quarter of them for one address; further ones wait.
        max_transfers: Integer(1, 400) = 64;
        /// Seconds a connection may stay without a request, or a request may take to arrive.
        idle_seconds: Integer(1, 3_600) = 30;
        /// Seconds a peer may leave unread what is sent to it.
        stall_seconds: Integer(1, 3_600) = 30;
        /// Requests over one connection.
        max_requests: Integer(1, 1_000_000) = 10000;
    }

    /// Those who administer lists: how they come in.
    people: People {
        /// Log-ins that one source may try in a minute. Wrong passwords meet growing delays besides.
        log_ins_per_minute: Integer(1, 10_000) = 20;
        /// Seconds after which a session that is not used ends.
        idle_seconds: Integer(60, 604_800) = 1800;
        /// Seconds after which a session ends at the latest.
        session_seconds: Integer(60, 2_592_000) = 43200;
    }

    /// Log-in by a provider of identities (OpenID Connect), beside name and password. `bwld account set` links accounts.
    oidc: Oidc {
        /// The provider, exactly as it calls itself. Empty: no log-in by a provider.
        issuer: Text(any) = "";
        /// What the provider calls this publisher.
        client_id: Text(any) = "";
        /// File, for its owner only, with the secret that the provider has given. Empty: none.
        client_secret_file: Text(any) = "";
        /// Where the provider sends the browser back to: https://THIS-HOST/v1/admin/oidc/return.
        redirect: Text(any) = "";
        /// Certificates in PEM of authorities that vouch for the provider's host. Empty: those of this machine.
        authorities: Text(any) = "";
    }

    /// What the daemons say of their work, on the standard error.
    log: Log {
        /// From which level on.
        level: Choice(LEVELS) = "info";
        /// Lines for people, or one JSON object a line.
        format: Choice(&["text", "json"]) = "text";
    }

    /// The subscriber's daemon, `bwld follow`, and `bwld pull`.
    follow: Follow {
        /// Folder that holds what the follower trusts and has.
        data: Text(some) = "./bwld-follow";
        /// Addresses of one publisher and its mirrors, tried in this order.
        urls: Texts(url) = [];
        /// Fingerprint of a key set of the publisher, got on a trusted way: sha256: and 64 hex digits.
        trust: Text(fingerprint) = "";
        /// Without `trust`: believe the first key set that comes. Only for a try on your own machine.
        trust_on_first_use: Bool = false;
        /// Lists to follow: "LIST", or "LIST=FILE" to write it to that file instead of to `output`.
        lists: Texts(list_choice) = [];
        /// Folder to which each list is written as LIST.txt, one rule a line. Empty: DATA/out.
        output: Text(any) = "";
        /// Command to run after a list was written: program and arguments. No shell is involved. Empty: none.
        /// It never runs twice at once, and the longer it takes the longer the pause before the next time, at most one second.
        reload: Texts(any) = [];
        /// Keep a compiled index of each list in `data`, for `bwld lookup` and for filters that ask it. false: none is kept.
        index: Bool = true;
        /// Certificates in PEM of the authority that vouches for the publisher. Empty: those of this machine.
        authorities: Text(any) = "";
        /// Certificate of this follower and its private key, both in one file in PEM, for a publisher that asks for one. Empty: none.
        identity: Text(any) = "";
        /// Let the publisher push changes. false: only ask now and then.
        push: Bool = true;
        /// Seconds between two questions when nothing is pushed and the publisher does not say how long to wait.
        interval: Integer(1, 604_800) = 300;
    }

    /// The operator's commands, which talk to the publisher's daemon.
    client: Client {
        /// Address of the daemon. Also $BWLD_SERVER, and --server.
        server: Text(url) = "http://127.0.0.1:7080";
        /// File that holds the operator's token. Empty: operator.token in `serve.data`. Also $BWLD_TOKEN_FILE, and --token-file.
        token_file: Text(any) = "";
        /// Certificates in PEM of the authority that vouches for the daemon. Empty: those of this machine.
        authorities: Text(any) = "";
        /// Certificate and private key in one file in PEM, for a daemon that asks for one. Empty: none.
        identity: Text(any) = "";
        /// Seconds until a request that gets no answer is given up. An import has no limit.
        timeout: Integer(1, 3_600) = 30;
    }
}
