//! The recipes of `docs/FILTERS.md`: a fenced block behind a line `<!-- recipe: NAME -->`, with the addresses, ports and
//! folders of a real installation. A test takes the block as it is printed and puts its own in place of those.

use std::path::Path;

/// A recipe on its way to a file.
#[must_use]
pub struct Recipe {
    name: String,
    text: String,
}

/// The block named `name`, without its fences.
#[track_caller]
pub fn recipe(name: &str) -> Recipe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FILTERS.md");
    let docs = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let text = block(&docs, name).unwrap_or_else(|| panic!("docs/FILTERS.md has no one block behind <!-- recipe: {name} -->"));
    Recipe { name: name.to_owned(), text }
}

/// The block that follows the mark at once; none if the mark is absent, not followed by a block, or there twice.
fn block(docs: &str, name: &str) -> Option<String> {
    let mark = format!("<!-- recipe: {name} -->\n");
    let (_, rest) = docs.split_once(&mark)?;
    if rest.contains(&mark) {
        return None;
    }
    let (fence, rest) = rest.trim_start_matches('\n').split_once('\n')?;
    if !fence.starts_with("```") {
        return None;
    }
    rest.split_once("\n```").map(|(text, _)| format!("{text}\n"))
}

impl Recipe {
    /// Puts `own` wherever `printed` stands; it must stand somewhere.
    #[track_caller]
    pub fn with(mut self, printed: &str, own: impl std::fmt::Display) -> Recipe {
        assert!(self.text.contains(printed), "the recipe {} no longer has {printed:?}:\n{}", self.name, self.text);
        self.text = self.text.replace(printed, &own.to_string());
        self
    }

    /// Whether `printed` stands in it.
    pub fn has(&self, printed: &str) -> bool {
        self.text.contains(printed)
    }

    /// The text; no address of the documentation's networks may be left in it.
    #[track_caller]
    pub fn text(self) -> String {
        for example in ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"] {
            assert!(!self.text.contains(example), "the recipe {} still has {example}:\n{}", self.name, self.text);
        }
        self.text
    }

    /// Writes it to a file.
    #[track_caller]
    pub fn write(self, path: &Path) {
        std::fs::write(path, self.text()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

#[test]
fn a_block_is_found_by_its_mark() {
    let docs = "# A\n<!-- recipe: a.conf -->\n```conf\nx 1\n\ny 2\n```\n<!-- recipe: b -->\n\n```\nz\n```\n<!-- recipe: c -->\ntext\n";
    assert_eq!(block(docs, "a.conf").as_deref(), Some("x 1\n\ny 2\n"));
    assert_eq!(block(docs, "b").as_deref(), Some("z\n"));
    assert_eq!(block(docs, "c"), None);
    assert_eq!(block(docs, "d"), None);
    assert_eq!(block(&docs.repeat(2), "b"), None, "twice");
}
