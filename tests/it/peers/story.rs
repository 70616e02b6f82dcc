//! The same story for each resolver: it transfers, blocks, follows changes, and outlives restarts of both sides.

use super::site::{Sent, Site};
use super::{Answer, Program};

/// How a resolver is started; anew on the same files for a restart.
pub struct Peer<'a> {
    pub start: &'a dyn Fn(&Site) -> Program,
    /// How it answers for a name on the list `block`.
    pub blocked: fn(&Answer) -> bool,
    /// The file in which it keeps the zone `block` as text, if it writes one only after it has begun to block.
    pub copy: Option<&'a str>,
    /// How it answers for a name of the category `gambling`, if it is told to show our page instead.
    pub garden: Option<fn(&Answer) -> bool>,
}

/// The name of our page, and its address.
pub fn page(answer: &Answer) -> bool {
    answer.records.iter().any(|r| r.starts_with("CNAME blocked.example.org")) && passes(answer)
}

pub fn passes(answer: &Answer) -> bool {
    answer.records.contains(&"A 198.18.0.1".to_owned())
}

/// That since `before` changes went out as increments, and no whole zone.
#[track_caller]
fn came_by_increment(site: &Site, before: Sent) {
    let sent = site.sent();
    assert!(sent.increments > before.increments && sent.whole == before.whole, "before {before:?}, now {sent:?}");
}

/// From the first transfer to the last restart.
pub fn tell(site: &mut Site, peer: &Peer<'_>) {
    let mut resolver = (peer.start)(site);
    site.ready(&mut resolver);
    site.until(&mut resolver, "blocked after the first transfer", "first.example", peer.blocked);
    site.until(&mut resolver, "blocked below a subtree", "deep.www.under.example", peer.blocked);
    site.until(&mut resolver, "passed by the white list", "good.under.example", passes);
    site.until(&mut resolver, "passed beside an exact name", "www.first.example", passes);
    if let Some(page) = peer.garden {
        site.until(&mut resolver, "the page of the walled garden", "www.bets.example", page);
    }

    site.until(&mut resolver, "passed, not yet listed", "second.example", passes);
    let before = site.sent();
    assert!(before.whole > 0, "{before:?}");
    site.add("block", &["domain:second.example"]);
    site.until(&mut resolver, "blocked once published", "second.example", peer.blocked);
    site.remove("block", &["domain:first.example"]);
    site.until(&mut resolver, "passed once removed", "first.example", passes);
    site.add("allow", &["domain:second.example"]);
    site.until(&mut resolver, "passed once white", "second.example", passes);
    site.remove("allow", &["domain:second.example"]);
    site.until(&mut resolver, "blocked once not white any more", "second.example", peer.blocked);
    came_by_increment(site, before);

    // The publisher away and back: what was there stays, what comes is taken, by an increment over its restart.
    site.stop();
    site.until(&mut resolver, "blocked without the publisher", "second.example", peer.blocked);
    site.start();
    site.wait_for_counts();
    let names: Vec<String> = (0..1500).map(|i| format!("domain:new{i}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    site.add("block", &names);
    site.until(&mut resolver, "blocked after the publisher's restart", "new1499.example", peer.blocked);
    came_by_increment(site, Sent { increments: 0, whole: 0 });

    // The resolver away, most of the list gone meanwhile: its serial is one from which no increment is given any more.
    resolver.stop();
    let before = site.sent();
    site.remove("block", &names[..1499]);
    site.remove("block", &["domain:second.example", "subtree:under.example", "subtree:bets.example"]);
    site.add("block", &["domain:third.example"]);
    let mut resolver = (peer.start)(site);
    site.ready(&mut resolver);
    site.until(&mut resolver, "blocked after the resolver's restart", "third.example", peer.blocked);
    site.until(&mut resolver, "passed after the resolver's restart", "second.example", passes);
    site.until(&mut resolver, "passed after the resolver's restart", "new7.example", passes);
    site.until(&mut resolver, "still blocked", "new1499.example", peer.blocked);
    let sent = site.sent();
    assert!(sent.whole > before.whole, "the gap was not bridged by the whole zone: before {before:?}, now {sent:?}");

    if let Some(copy) = peer.copy {
        let kept = || std::fs::read_to_string(site.place.path(copy)).is_ok_and(|text| text.contains("third.example"));
        resolver.until("its own copy", kept);
    }
    // And without a publisher it still blocks after a restart, from its own copy.
    resolver.stop();
    site.stop();
    let mut resolver = (peer.start)(site);
    site.until(&mut resolver, "blocked from its own copy", "third.example", peer.blocked);
    resolver.stop();
    site.start();
}

/// A key that is not the publisher's: the zone never comes, the resolver goes on without it, and the publisher's log says so.
pub fn refused(site: &mut Site, start: &dyn Fn(&Site) -> Program) -> Program {
    site.place.write("isp-a.secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    site.start_with(|settings| settings);
    let mut resolver = start(site);
    site.ready(&mut resolver);
    let mut said = String::new();
    resolver.until("a bad signature in the publisher's log", || {
        said.push_str(&site.said());
        // A source has one line a minute; if it asked for nothing before, it is the one of its acknowledgement of a notification.
        let logged = said.contains("BADSIG") || said.contains("an acknowledgement whose signature is not good");
        logged && site.counted("bwld_dns_requests_total{outcome=\"bad-signature\"}") > 0
    });
    site.until(&mut resolver, "passes: the zone never came", "first.example", Answer::has_records);
    assert_eq!(site.sent(), Sent { increments: 0, whole: 0 });
    resolver
}
