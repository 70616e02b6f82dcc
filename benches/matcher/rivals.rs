//! The obvious alternatives, each as fast as its interface allows.

use adblock::lists::ParseOptions;
use adblock::request::Request;
use adblock::url_parser::{ResolvesDomain, set_domain_resolver};
use adblock::{Engine, FilterSet};
use foldhash::fast::FixedState;

use super::corpus::Corpus;

/// Rules more than these are not given to `adblock`: building takes too long.
pub const ADBLOCK_MOST: usize = 1_000_000;

/// A hash map of the names, which is asked for the name itself and then for each name above it.
pub struct Walk(hashbrown::HashMap<Box<str>, bool, FixedState>);

impl Walk {
    pub fn new(corpus: &Corpus) -> Walk {
        let mut map = hashbrown::HashMap::with_capacity_and_hasher(corpus.names.len(), FixedState::with_seed(7));
        for (name, subtree) in corpus.names.iter().zip(&corpus.subtree) {
            map.insert(name.clone(), *subtree);
        }
        Walk(map)
    }

    pub fn listed(&self, name: &str) -> bool {
        if self.0.contains_key(name) {
            return true;
        }
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            if self.0.get(above) == Some(&true) {
                return true;
            }
            rest = above;
        }
        false
    }
}

/// An `fst` of the names from right to left: one walk from the root meets a name's parents on its way.
pub struct Fst(fst::Map<Vec<u8>>);

impl Fst {
    pub fn new(corpus: &Corpus) -> Fst {
        let turned = |name: &str| name.bytes().rev().collect::<Vec<u8>>();
        let mut all: Vec<(Vec<u8>, u64)> =
            corpus.names.iter().zip(&corpus.subtree).map(|(name, subtree)| (turned(name), u64::from(*subtree))).collect();
        all.sort_unstable();
        Fst(fst::Map::from_iter(all).expect("sorted, and each once"))
    }

    pub fn size(&self) -> usize {
        self.0.as_fst().size()
    }

    pub fn listed(&self, name: &str) -> bool {
        let fst = self.0.as_fst();
        let mut node = fst.root();
        let mut value = 0;
        for octet in name.bytes().rev() {
            if octet == b'.' && node.is_final() && value + node.final_output().value() == 1 {
                return true;
            }
            let Some(next) = node.find_input(octet) else { return false };
            let next = node.transition(next);
            value += next.out.value();
            node = fst.node(next.addr);
        }
        node.is_final()
    }
}

/// Where the registrable domain of a host begins, by the list that bwld has too.
struct Suffixes;

impl ResolvesDomain for Suffixes {
    fn get_host_domain(&self, host: &str) -> (usize, usize) {
        let domain = psl::domain(host.as_bytes()).map_or(host.len(), |domain| domain.as_bytes().len());
        (host.len() - domain, host.len())
    }
}

/// Brave's engine with a rule `||name^` for each name; it has no rule for a name without those below it.
pub struct Adblock(Engine);

impl Adblock {
    pub fn new(corpus: &Corpus) -> Adblock {
        // It is set already where the engine is built twice.
        let _ = set_domain_resolver(Box::new(Suffixes));
        let mut set = FilterSet::new(false);
        let rules: String = corpus.names.iter().take(ADBLOCK_MOST).map(|name| format!("||{name}^\n")).collect();
        set.add_filter_list(rules, ParseOptions::default());
        Adblock(Engine::new_with_filter_set(set))
    }

    /// From text to verdict. `url` is the whole URL, which is what it takes.
    pub fn listed(&self, url: &str) -> bool {
        Adblock::request(url).is_some_and(|request| self.decides(&request))
    }

    pub fn request(url: &str) -> Option<Request> {
        Request::new(url, "https://school.example/", "script", "GET").ok()
    }

    pub fn decides(&self, request: &Request) -> bool {
        self.0.check_network_request(request).should_block()
    }
}
