//! Serials over restarts and changes of settings: a secondary that only follows the serial always has what the zone says,
//! and no serial is ever seen with two contents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bwld::dns::{Service, Transport, ZoneOptions, part_of};
use bwld::list::Colour;
use domain::base::Rtype;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::model::{Lines, RANGES, Step, expected, publish, step};
use super::{Got, Record, Secondary, World, ask, options, question, records, zone};

const NONE: [&str; 0] = [];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A publisher that is running.
struct Running {
    world: World,
    service: Arc<Service>,
    runtime: Runtime,
}

impl Running {
    fn new(world: World, zones: Vec<ZoneOptions>) -> Running {
        let catalog = Some(ZoneOptions { name: "catalog.example".into(), ..ZoneOptions::default() });
        let service = world.service(&bwld::dns::DnsOptions { catalog, ..options(zones) });
        Running { world, service, runtime: runtime() }
    }

    /// Stops it and starts it with these zones.
    fn restarted(self, zones: Vec<ZoneOptions>) -> Running {
        let Running { world, service, runtime } = self;
        drop(service);
        // Waits for what is being written.
        drop(runtime);
        Running::new(world.restarted(), zones)
    }

    fn serial(&self, zone: &str) -> u32 {
        let answer = self.runtime.block_on(ask(&self.service, &question(zone, Rtype::SOA, None), Transport::Stream));
        let all = records(&answer);
        let [Record::Soa(serial)] = all[..] else { panic!("{zone}: {all:?}") };
        serial
    }

    fn take(&self, zone: &str, secondary: &mut Secondary, kind: Rtype) -> Got {
        let question = question(zone, kind, (kind == Rtype::IXFR).then_some(secondary.serial));
        secondary.take(&self.runtime.block_on(ask(&self.service, &question, Transport::Stream)))
    }
}

/// What a zone is told, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Setting {
    lists: usize,
    categories: usize,
    policy: usize,
    parts: u32,
}

impl Setting {
    const LISTS: [&'static [&'static str]; 3] = [&["one"], &["two"], &["one", "two"]];
    const CATEGORIES: [&'static [&'static str]; 2] = [&[], &["x"]];

    fn zone(self) -> ZoneOptions {
        let policy = [None, Some("nodata".to_owned())][self.policy].clone();
        ZoneOptions { policy, parts: self.parts, ..zone("z.example", Self::LISTS[self.lists], Self::CATEGORIES[self.categories]) }
    }

    fn names(self) -> Vec<String> {
        match self.parts {
            1 => vec!["z.example".into()],
            parts => (0..parts).map(|n| format!("{n}.z.example")).collect(),
        }
    }

    /// The zones by their names.
    fn expected(self, lists: &[Lines; 2]) -> BTreeMap<String, BTreeSet<(String, String)>> {
        let lists: Vec<&Lines> = [vec![&lists[0]], vec![&lists[1]], vec![&lists[0], &lists[1]]][self.lists].clone();
        let mut zones: BTreeMap<String, BTreeSet<_>> = self.names().into_iter().map(|name| (name, BTreeSet::new())).collect();
        for (owner, _) in expected(&lists, Self::CATEGORIES[self.categories]) {
            let owner = owner.strip_suffix(".z.example.").unwrap();
            let base = owner.strip_prefix("*.").unwrap_or(owner);
            let target = RANGES.iter().find(|(_, spelt)| *spelt == base).map_or(base, |(range, _)| range);
            let name = &self.names()[part_of(target, self.parts) as usize];
            zones.get_mut(name).unwrap().insert((format!("{owner}.{name}."), [".", "*."][self.policy].to_owned()));
        }
        zones
    }
}

#[derive(Clone, Debug)]
enum Event {
    Publish(Step),
    Restart,
    /// Starts anew with other settings.
    Set(Setting),
    /// Is without the zone for a version.
    Gone(Step),
}

fn setting() -> impl Strategy<Value = Setting> {
    (0usize..3, 0usize..2, 0usize..2, 1u32..4).prop_map(|(lists, categories, policy, parts)| Setting { lists, categories, policy, parts })
}

/// What happened, and whether the lazy secondary looks.
fn event() -> impl Strategy<Value = (Event, bool)> {
    let event = prop_oneof![
        5 => step().prop_map(Event::Publish),
        2 => Just(Event::Restart),
        1 => setting().prop_map(Event::Set),
        1 => step().prop_map(Event::Gone),
    ];
    (event, proptest::bool::weighted(0.3))
}

/// What secondaries have, and what anybody ever saw.
#[derive(Default)]
struct Seen {
    zones: [BTreeMap<String, Secondary>; 2],
    contents: BTreeMap<(String, u32), BTreeSet<(String, String)>>,
}

impl Seen {
    /// A secondary follows every zone that there is, by its serial alone.
    fn follow(&mut self, running: &Running, who: usize, expected: &BTreeMap<String, BTreeSet<(String, String)>>) {
        for (name, content) in expected {
            let serial = running.serial(name);
            let mine = self.zones[who].entry(name.clone()).or_default();
            let ahead = serial.wrapping_sub(mine.serial);
            assert!(ahead < 1 << 31, "{name} went back from {} to {serial}", mine.serial);
            if ahead > 0 {
                let kind = if mine.serial == 0 { Rtype::AXFR } else { Rtype::IXFR };
                assert_ne!(running.take(name, mine, kind), Got::Current);
                assert_eq!(mine.serial, serial);
            }
            assert_eq!(mine.zone, *content, "{name} {serial}");
            let known = self.contents.entry((name.clone(), serial)).or_insert_with(|| content.clone());
            assert_eq!(known, content, "{name} {serial} was seen with another content");
        }
    }
}

/// The catalog names exactly the zones, and never another set under a serial that was seen.
fn catalog(running: &Running, seen: &mut BTreeMap<u32, BTreeSet<String>>, names: Vec<String>) {
    let answer = running.runtime.block_on(ask(&running.service, &question("catalog.example", Rtype::AXFR, None), Transport::Stream));
    let all = records(&answer);
    let Some(Record::Soa(serial)) = all.first() else { panic!("{all:?}") };
    let members = all.iter().filter_map(|r| if let Record::Says(o, name) = r { (o == "member").then(|| name.clone()) } else { None });
    let members: BTreeSet<String> = members.collect();
    assert_eq!(members, names.into_iter().map(|name| format!("{name}.")).collect());
    assert!(seen.keys().all(|known| serial.wrapping_sub(*known) < 1 << 31), "the catalog went back");
    assert_eq!(*seen.entry(*serial).or_insert_with(|| members.clone()), members);
    assert!(seen.range(serial..).count() == 1 && seen.values().rev().nth(1) != Some(&members), "no new serial without a change");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn no_serial_means_two_things(first in setting(), events in proptest::collection::vec(event(), 1..10)) {
        let world = World::new(&[("one", Colour::Black), ("two", Colour::Black)]);
        let names = ["one", "two"];
        let mut lists = [Lines::new(), Lines::new()];
        names.iter().for_each(|name| world.publish(name, &NONE, &NONE));
        let mut now = first;
        let mut running = Running::new(world, vec![now.zone()]);
        let (mut seen, mut catalogs, mut changed) = (Seen::default(), BTreeMap::new(), false);
        for (event, both) in events {
            let before: BTreeMap<_, _> = now.names().into_iter().map(|name| (running.serial(&name), name)).map(|(s, n)| (n, s)).collect();
            let had = now.expected(&lists);
            let same = !matches!(event, Event::Set(_));
            match event {
                Event::Publish((second, changes)) => {
                    publish(&running.world, names[usize::from(second)], &mut lists[usize::from(second)], changes);
                }
                Event::Restart => running = running.restarted(vec![now.zone()]),
                Event::Set(setting) => {
                    (changed, now) = (changed || setting != now, setting);
                    running = running.restarted(vec![now.zone()]);
                }
                Event::Gone((second, changes)) => {
                    running = running.restarted(vec![zone("other.example", &["one"], &[])]);
                    catalog(&running, &mut catalogs, vec!["other.example".into()]);
                    publish(&running.world, names[usize::from(second)], &mut lists[usize::from(second)], changes);
                    running = running.restarted(vec![now.zone()]);
                }
            }
            let expected = now.expected(&lists);
            for who in 0..=usize::from(both) {
                seen.follow(&running, who, &expected);
            }
            catalog(&running, &mut catalogs, now.names());
            // A part that is the same keeps its serial, whatever happened to the others.
            for (name, content) in expected.iter().filter(|(name, content)| same && now.parts > 1 && had[*name] == **content) {
                prop_assert_eq!(running.serial(name), before[name], "{} {:?}", name, content);
            }
            if !changed && now.parts == 1 {
                let sum: u64 = Setting::LISTS[now.lists].iter().map(|l| running.world.hub.catalog().get(&l.parse().unwrap()).unwrap().head.serial.get()).sum();
                prop_assert_eq!(u64::from(running.serial("z.example")), sum);
            }
        }
    }
}

#[test]
fn a_restart_forgets_no_sum_and_refuses_no_increment() {
    let world = World::new(&[("one", Colour::Black), ("two", Colour::Black)]);
    let subtrees = |from: usize, to: usize| (from..to).map(|n| format!("subtree:n{n}.example")).collect::<Vec<_>>();
    world.publish("one", &subtrees(0, 300), &NONE);
    world.publish("two", &["domain:two.example"], &NONE);
    let zones = || vec![zone("both.example", &["one", "two"], &[]), zone("one.example", &["one"], &[])];
    let running = Running::new(world, zones());
    let mut secondaries = [Secondary::default(), Secondary::default()];
    for (name, secondary) in ["both.example", "one.example"].iter().zip(&mut secondaries) {
        assert_eq!(running.take(name, secondary, Rtype::AXFR), Got::Whole);
    }
    // Three hundred names leave and as many come: of subtrees twice as many records as there are entries.
    running.world.publish("one", &subtrees(300, 450), &subtrees(0, 150));
    running.world.publish("two", &["domain:three.example"], &NONE);
    let running = running.restarted(zones());
    for (name, secondary) in ["both.example", "one.example"].iter().zip(&mut secondaries) {
        assert_eq!(running.take(name, secondary, Rtype::IXFR), Got::Step, "{name}");
        assert!(secondary.zone.contains(&(format!("*.n449.example.{name}."), ".".into())), "{name}");
    }
    assert_eq!((secondaries[0].serial, secondaries[0].zone.len(), secondaries[1].serial), (4, 602, 2));
}

#[test]
fn a_version_raises_the_parts_it_changes_and_no_others() {
    let world = World::new(&[("one", Colour::Black)]);
    let name = |n: usize| format!("n{n}.example");
    world.publish("one", &(0..64).map(|n| format!("subtree:{}", name(n))).collect::<Vec<_>>(), &NONE);
    let parts = || vec![ZoneOptions { parts: 4, ..zone("z.example", &["one"], &[]) }];
    let all = |running: &Running| (0..4).map(|n| running.serial(&format!("{n}.z.example"))).collect::<Vec<_>>();
    let running = Running::new(world, parts());
    assert_eq!(all(&running), [1; 4]);
    let of = |n: usize| part_of(&name(n), 4) as usize;
    let mut secondaries: Vec<Secondary> = vec![Secondary::default(); 4];
    for (n, secondary) in secondaries.iter_mut().enumerate() {
        running.take(&format!("{n}.z.example"), secondary, Rtype::AXFR);
    }
    assert_eq!(secondaries.iter().map(|s| s.zone.len()).sum::<usize>(), 128);
    // One name, then another with which nothing changes in DNS.
    running.world.publish("one", &NONE, &[format!("subtree:{}", name(7))]);
    running.world.publish("one", &[format!("subtree:{}\tcat=x", name(8))], &NONE);
    let mut wanted = vec![1; 4];
    // Both were there before anybody asked: the later one.
    wanted[of(7)] = 3;
    assert_eq!(all(&running), wanted);
    // Not served meanwhile: found out at the start, from the deltas.
    let running = running.restarted(vec![zone("other.example", &["one"], &[])]);
    running.world.publish("one", &["domain:new.example"], &NONE);
    let running = running.restarted(parts());
    wanted[part_of("new.example", 4) as usize] = 4;
    assert_eq!(all(&running), wanted);
    // Versions that leave a part alone do not make its increment longer, nor its base gone.
    for n in 100..130 {
        running.world.publish("one", &[format!("domain:{}", name(n))], &NONE);
        all(&running);
    }
    let running = running.restarted(parts());
    for (n, secondary) in secondaries.iter_mut().enumerate() {
        let newest = running.serial(&format!("{n}.z.example"));
        let got = running.take(&format!("{n}.z.example"), secondary, Rtype::IXFR);
        assert_eq!((got, secondary.serial), (Got::Step, newest));
    }
    assert_eq!(secondaries.iter().map(|s| s.zone.len()).sum::<usize>(), 128 - 2 + 1 + 30);
}

#[test]
fn names_of_parts_and_zones_that_change_places_do_not_go_back() {
    let world = World::new(&[("one", Colour::Black)]);
    for n in 0..5 {
        world.publish("one", &[format!("domain:n{n}.example")], &NONE);
    }
    let plain = |name: &str| zone(name, &["one"], &[]);
    let parts = |name: &str| ZoneOptions { parts: 2, ..plain(name) };
    let running = Running::new(world, vec![plain("z.example"), plain("1.y.example")]);
    assert_eq!((running.serial("z.example"), running.serial("1.y.example")), (5, 5));
    let running = running.restarted(vec![parts("z.example"), parts("y.example")]);
    assert_eq!((running.serial("1.z.example"), running.serial("1.y.example")), (6, 6));
    let running = running.restarted(vec![plain("1.z.example"), plain("z.example"), plain("1.y.example")]);
    assert_eq!((running.serial("1.z.example"), running.serial("z.example"), running.serial("1.y.example")), (7, 7, 7));
    let running = running.restarted(vec![plain("0.z.example"), plain("1.z.example")]);
    assert_eq!((running.serial("0.z.example"), running.serial("1.z.example")), (7, 7), "as a part it was at 6; and as before");
}

#[test]
fn serials_go_on_at_nought_after_the_last_one_and_so_do_increments() {
    let world = World::new(&[("one", Colour::Black)]);
    world.publish("one", &["domain:n0.example"], &NONE);
    // As a restore does it: the list goes on just below the wrap.
    let (list, serial, at) = ("one".parse().unwrap(), bwld::list::Serial::new(0xffff_fffc).unwrap(), crate::signed::now());
    world.store.commit(&bwld::store::Record::SerialFloor { list, serial, at }).unwrap();
    let zones =
        |policy: Option<&str>, parts| vec![ZoneOptions { parts, policy: policy.map(Into::into), ..zone("z.example", &["one"], &[]) }];
    let publish = |running: &Running, n: usize| running.world.publish("one", &[format!("domain:n{n}.example")], &NONE);
    let mut running = Running::new(world.restarted(), zones(None, 1));
    publish(&running, 1);
    let mut secondary = Secondary::default();
    assert_eq!(running.take("z.example", &mut secondary, Rtype::AXFR), Got::Whole);
    assert_eq!(secondary.serial, 0xffff_fffd);
    let mut early = secondary.clone();
    for (n, serial) in [(2, 0xffff_fffe), (3, 0xffff_ffff), (4, 0), (5, 1)] {
        publish(&running, n);
        running = running.restarted(zones(None, 1));
        assert_eq!(running.take("z.example", &mut secondary, Rtype::IXFR), Got::Step);
        assert_eq!((secondary.serial, secondary.zone.len()), (serial, n + 1));
    }
    assert_eq!(running.take("z.example", &mut early, Rtype::IXFR), Got::Step, "over the wrap");
    assert_eq!(early, secondary);
    // A changed setting, with increments on both sides of it, and none across.
    let running = running.restarted(zones(Some("nodata"), 1));
    assert_eq!(running.take("z.example", &mut secondary, Rtype::IXFR), Got::Whole);
    assert_eq!(secondary.serial, 2);
    publish(&running, 6);
    assert_eq!(running.take("z.example", &mut secondary, Rtype::IXFR), Got::Step);
    assert_eq!((secondary.serial, secondary.zone.len()), (3, 7));
    assert_eq!(running.take("z.example", &mut early, Rtype::IXFR), Got::Whole);
    assert_eq!(early, secondary);
}

#[test]
fn who_may_have_a_zone_may_have_its_parts_also_after_an_exchange() {
    let world = World::new(&[("one", Colour::Black)]);
    world.publish("one", &["domain:a.example"], &NONE);
    let parts = ZoneOptions { parts: 2, ..zone("z.example", &["one"], &[]) };
    let running = Running::new(world, vec![parts.clone()]);
    let code = |name: &str| {
        let soa = question(name, Rtype::SOA, None);
        running.runtime.block_on(ask(&running.service, &soa, Transport::Stream))[0].header().rcode()
    };
    assert_eq!(code("1.z.example"), domain::base::iana::Rcode::NOERROR);
    assert_eq!(code("z.example"), domain::base::iana::Rcode::REFUSED, "there are only its parts");
    let far = ZoneOptions { allow: vec!["192.0.2.0/24".parse().unwrap()], ..parts };
    running.service.exchange(&options(vec![far])).unwrap();
    assert_eq!(code("1.z.example"), domain::base::iana::Rcode::REFUSED);
}

/// Combinations of serials that are kept of a zone.
fn kept(world: &World, zone: &str) -> usize {
    let document = world.store.document("dns-zone", zone).unwrap().expect("it was served");
    document["known"].as_array().map_or(0, Vec::len)
}

#[test]
fn publications_do_not_write_the_history_of_every_zone_each_time() {
    let world = World::new(&[("one", Colour::Black), ("two", Colour::Black)]);
    ["one", "two"].iter().for_each(|list| world.publish(list, &["domain:a.example"], &NONE));
    let zones = || vec![zone("z.example", &["one", "two"], &[])];
    let mut running = Running::new(world, zones());
    let publish = |running: &Running, n: usize| {
        running.world.publish("one", &[format!("domain:n{n}.example")], &NONE);
        assert_eq!(running.serial("z.example") as usize, n + 3);
    };
    assert_eq!(running.serial("z.example"), 2);
    publish(&running, 0);
    crate::support::wait_for("what is written beside", || kept(&running.world, "z.example") == 2);
    (1..9).for_each(|n| publish(&running, n));
    let mut secondary = Secondary::default();
    running.take("z.example", &mut secondary, Rtype::AXFR);
    publish(&running, 9);
    // One that breaks off: the first one after the start was written. The settings began at the one before.
    running = running.restarted(zones());
    assert_eq!(kept(&running.world, "z.example"), 2);
    assert_eq!(running.serial("z.example"), 12, "no serial hangs on what was lost");
    assert_eq!(running.take("z.example", &mut secondary, Rtype::IXFR), Got::Whole);
    // After the pause, with those before.
    publish(&running, 10);
    running.world.clock.advance(300);
    publish(&running, 11);
    crate::support::wait_for("what is written beside", || kept(&running.world, "z.example") == 5);
    running = running.restarted(zones());
    assert_eq!(running.serial("z.example"), 14);
    // What stops writes what it has not yet.
    (12..20).for_each(|n| publish(&running, n));
    running.take("z.example", &mut secondary, Rtype::IXFR);
    publish(&running, 20);
    publish(&running, 21);
    running.runtime.block_on(async {
        let bound = bwld::dns::bind(&options(zones()), None).await.unwrap();
        bound.serve(running.service.clone(), std::future::ready(()), crate::support::DEADLINE).await;
    });
    assert_eq!(kept(&running.world, "z.example"), 15);
    running = running.restarted(zones());
    assert_eq!(running.take("z.example", &mut secondary, Rtype::IXFR), Got::Step);
}

#[test]
fn a_reload_takes_nothing_that_a_start_refuses() {
    use domain::base::iana::Rcode;
    let world = World::new(&[("one", Colour::Black)]);
    world.publish("one", &["domain:a.example"], &NONE);
    let keyed = |name: &str| ZoneOptions { keys: vec!["isp-a".into()], ..zone(name, &["one"], &[]) };
    let parts = |name: &str| ZoneOptions { parts: 2, ..keyed(name) };
    let open = |name: &str| zone(name, &["one"], &[]);
    let running = Running::new(world, vec![keyed("z.example"), parts("y.example")]);
    let code = |name: &str| {
        let soa = question(name, Rtype::SOA, None);
        running.runtime.block_on(ask(&running.service, &soa, Transport::Stream))[0].header().rcode()
    };
    for (zones, catalog) in [
        (vec![keyed("z.example"), parts("y.example"), open("Z.example.")], None),
        (vec![keyed("z.example"), parts("y.example"), ZoneOptions { keys: vec![], ..parts("y.example") }], None),
        (vec![keyed("z.example"), parts("y.example"), open("y.example")], None),
        (vec![keyed("z.example"), parts("y.example")], Some(open("z.example"))),
        (vec![keyed("z.example"), parts("y.example")], Some(open("y.example"))),
        (vec![open("z.example"), parts("y.example"), open("0.y.example")], None),
    ] {
        let said = bwld::dns::DnsOptions { catalog, ..options(zones) };
        let refused = running.service.exchange(&said).expect_err("as at the start").to_string();
        assert!(refused.contains(" name "), "{refused}");
        let (hub, store, clock) = (running.world.hub.clone(), running.world.store.clone(), running.world.clock.clone());
        assert_eq!(Service::new(&said, hub, store, clock).expect_err("the same").to_string(), refused);
        assert_eq!((code("z.example"), code("0.y.example"), code("1.y.example")), (Rcode::REFUSED, Rcode::REFUSED, Rcode::REFUSED));
    }
    running.service.exchange(&options(vec![open("z.example"), parts("y.example")])).unwrap();
    assert_eq!((code("z.example"), code("0.y.example")), (Rcode::NOERROR, Rcode::REFUSED));
}
