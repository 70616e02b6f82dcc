//! The same story for each resolver: it transfers, blocks, follows changes, and outlives restarts of both sides.

use super::site::Site;
use super::{Answer, Program};

/// How a resolver is started; anew on the same files for a restart.
pub struct Peer<'a> {
    pub start: &'a dyn Fn(&Site) -> Program,
    /// What makes it take news, where it does not by itself.
    pub fetch: &'a dyn Fn(&Site),
    /// How it answers for a name on the list `block`.
    pub blocked: fn(&Answer) -> bool,
    /// The file in which it keeps the zone `block` as text, if it writes one only after it has begun to block.
    pub copy: Option<&'a str>,
    /// Whether a name of the category `gambling` is answered with the addresses of our page.
    pub garden: bool,
}

fn passes(answer: &Answer) -> bool {
    answer.records.contains(&"A 198.18.0.1".to_owned())
}

/// From the first transfer to the last restart.
pub fn tell(site: &mut Site, peer: &Peer<'_>) {
    (peer.fetch)(site);
    let mut resolver = (peer.start)(site);
    site.ready(&mut resolver);
    site.until(&mut resolver, "blocked after the first transfer", "first.example", peer.blocked);
    site.until(&mut resolver, "blocked below a subtree", "deep.www.under.example", peer.blocked);
    site.until(&mut resolver, "passed by the white list", "good.under.example", passes);
    site.until(&mut resolver, "passed beside an exact name", "www.first.example", passes);
    if peer.garden {
        let page = |a: &Answer| a.records.iter().any(|r| r.starts_with("CNAME blocked.example.org")) && passes(a);
        site.until(&mut resolver, "the page of the walled garden", "www.bets.example", page);
    }

    site.until(&mut resolver, "passed, not yet listed", "second.example", passes);
    site.add("block", &["domain:second.example"]);
    (peer.fetch)(site);
    site.until(&mut resolver, "blocked once published", "second.example", peer.blocked);
    site.remove("block", &["domain:first.example"]);
    (peer.fetch)(site);
    site.until(&mut resolver, "passed once removed", "first.example", passes);
    site.add("allow", &["domain:second.example"]);
    (peer.fetch)(site);
    site.until(&mut resolver, "passed once white", "second.example", passes);
    site.remove("allow", &["domain:second.example"]);
    (peer.fetch)(site);
    site.until(&mut resolver, "blocked once not white any more", "second.example", peer.blocked);

    // The publisher away and back: what was there stays, what comes is taken.
    site.stop();
    site.until(&mut resolver, "blocked without the publisher", "second.example", peer.blocked);
    site.start();
    site.add("block", &["domain:third.example"]);
    (peer.fetch)(site);
    site.until(&mut resolver, "blocked after the publisher's restart", "third.example", peer.blocked);

    // The resolver away, the list replaced meanwhile: an increment would be larger than the whole.
    // Beyond 1,000 names that is never sent.
    resolver.stop();
    let names: Vec<String> = (0..1500).map(|i| format!("domain:new{i}.example")).collect();
    site.add("block", &names.iter().map(String::as_str).collect::<Vec<_>>());
    site.remove("block", &["domain:second.example", "subtree:under.example", "subtree:bets.example"]);
    (peer.fetch)(site);
    let mut resolver = (peer.start)(site);
    site.ready(&mut resolver);
    site.until(&mut resolver, "blocked after the resolver's restart", "new1499.example", peer.blocked);
    site.until(&mut resolver, "passed after the resolver's restart", "second.example", passes);

    if let Some(copy) = peer.copy {
        let kept = || std::fs::read_to_string(site.place.path(copy)).is_ok_and(|text| text.contains("new1499.example"));
        resolver.until("its own copy", kept);
    }
    // And without a publisher it still blocks after a restart, from its own copy.
    resolver.stop();
    site.stop();
    let mut resolver = (peer.start)(site);
    site.until(&mut resolver, "blocked from its own copy", "new1499.example", peer.blocked);
    resolver.stop();
    site.start();
}
