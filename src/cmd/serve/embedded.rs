//! The lists that ship, as part of the program: a fresh machine needs no other file.

/// File name and text of each list, in the order of their names.
pub const LISTS: &[(&str, &str)] = &[
    ("canary.txt", include_str!("../../../lists/canary.txt")),
    ("dating.txt", include_str!("../../../lists/dating.txt")),
    ("education.txt", include_str!("../../../lists/education.txt")),
    ("gambling.txt", include_str!("../../../lists/gambling.txt")),
    ("malware.txt", include_str!("../../../lists/malware.txt")),
    ("scam.txt", include_str!("../../../lists/scam.txt")),
    ("shock.txt", include_str!("../../../lists/shock.txt")),
    ("tunnels.txt", include_str!("../../../lists/tunnels.txt")),
];

/// Names that may never be blocked.
pub const PROTECTED: &str = include_str!("../../../lists/protected.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lists");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder of lists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".txt") && name != "protected.txt")
            .collect();
        files.sort();
        assert_eq!(files, LISTS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "cmd/serve/embedded.rs names them all");
    }
}
