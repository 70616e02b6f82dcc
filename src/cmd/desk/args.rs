//! What the desk's subcommands take.

use crate::desk::CaseState;
use crate::list::{Code, Date, Digest, ListId, Serial, Timestamp};

use super::super::client::Connect;
use super::words::WordArgs;

/// How and where.
#[derive(clap::Args, Debug)]
pub struct Common {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

/// What `bwld propose` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld propose canary bad.example --text en=\"Sells forged passports\" --basis-instrument \"Order 17\" --basis-authority \"Court of X\"
  bwld propose canary subtree:bad.example --cat fraud --scheme threats=fraud --expires 2030-01-01 --review-by 2027-06-01")]
pub struct ProposeArgs {
    /// The list
    pub(super) list: ListId,
    /// The rule, or a bare name: exact
    pub(super) rule: String,
    #[command(flatten)]
    pub(super) words: WordArgs,
    /// A note that never leaves the publisher
    #[arg(long, default_value = "")]
    pub(super) note: String,
    /// Leave it a draft
    #[arg(long)]
    pub(super) draft: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld approve` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld approve canary k3Jx0aZqPm2vT7yWb9cD1e                 shows it, and asks
  bwld approve canary k3Jx0aZqPm2vT7yWb9cD1e --revision 2    as it was read
  bwld approve canary k3Jx0aZqPm2vT7yWb9cD1e --revision 2 --publish
  bwld approve canary --staged sha256:...       approve what is staged, as `bwld queue` shows it")]
pub struct ApproveArgs {
    /// The list
    pub(super) list: ListId,
    /// The entry's reference
    #[arg(required_unless_present = "staged", allow_hyphen_values = true)]
    pub(super) reference: Option<String>,
    /// The revision of the entry that was read, as `bwld queue` and `bwld case show` name it; needed where nobody can be asked
    #[arg(long, value_name = "N", conflicts_with = "staged")]
    pub(super) revision: Option<u64>,
    /// Digest of the staged changes
    #[arg(long, value_name = "DIGEST", conflicts_with = "reference")]
    pub(super) staged: Option<Digest>,
    /// Publish it at once when it has the approvals it needs
    #[arg(long, conflicts_with = "staged")]
    pub(super) publish: bool,
    /// Why
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld reject` and `bwld suspend` take.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld reject canary k3Jx0aZqPm2vT7yWb9cD1e --reason \"no such order\"")]
pub struct RejectArgs {
    #[command(flatten)]
    pub(super) one: One,
}

/// An entry and why.
#[derive(clap::Args, Debug)]
pub struct One {
    /// The list
    pub(super) list: ListId,
    /// The entry's reference
    #[arg(allow_hyphen_values = true)]
    pub(super) reference: String,
    /// Why
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld suspend` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld suspend canary k3Jx0aZqPm2vT7yWb9cD1e --reason \"appeal 2026/17\"
  bwld suspend canary k3Jx0aZqPm2vT7yWb9cD1e --resume
  bwld suspend canary k3Jx0aZqPm2vT7yWb9cD1e --remove")]
pub struct SuspendArgs {
    #[command(flatten)]
    pub(super) one: One,
    /// Put it back
    #[arg(long, conflicts_with = "remove")]
    pub(super) resume: bool,
    /// Take it off for good
    #[arg(long)]
    pub(super) remove: bool,
}

/// What `bwld queue` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld queue\n  bwld queue --json")]
pub struct QueueArgs {
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld search` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld search bad.example
  bwld search --list canary --state proposed,approved
  bwld search passports --category fraud --expires-to 2027-01-01 --json
  bwld search --list canary --format csv -o entries.csv     everything known of each, but notes")]
pub struct SearchArgs {
    /// A text in the rule, the attributes or any word of a case
    pub(super) text: Option<String>,
    /// Only this list
    #[arg(long)]
    pub(super) list: Option<ListId>,
    /// A rule, or a name, URL or address that one of any kind names
    #[arg(long)]
    pub(super) rule: Option<String>,
    /// A category, of the list or of any scheme
    #[arg(long)]
    pub(super) category: Option<Code>,
    /// A reason code
    #[arg(long)]
    pub(super) reason: Option<Code>,
    /// A reference
    #[arg(long, allow_hyphen_values = true)]
    pub(super) reference: Option<String>,
    /// Who proposed it
    #[arg(long)]
    pub(super) proposer: Option<String>,
    /// States, joined by commas
    #[arg(long, value_delimiter = ',')]
    pub(super) state: Vec<CaseState>,
    /// Expires on this day or later
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) expires_from: Option<Date>,
    /// Expires on this day or before
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) expires_to: Option<Date>,
    /// Begun on this day or later
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) created_from: Option<Date>,
    /// Begun on this day or before
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) created_to: Option<Date>,
    /// Where the page before ended
    #[arg(long)]
    pub(super) cursor: Option<String>,
    /// Results of a page
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// All that are found, written with everything that is known of them but notes
    #[arg(long, value_enum, conflicts_with_all = ["cursor", "limit", "json"])]
    pub(super) format: Option<SearchFormat>,
    /// Write to this file instead, replacing it only when all has arrived
    #[arg(short, long, value_name = "FILE", requires = "format")]
    pub(super) output: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// How entries are exported.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum SearchFormat {
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values with a line of names
    Csv,
}

/// What `bwld undo` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld undo canary 17 --dry-run
  bwld undo canary 17 --reason \"wrong file\"
  bwld undo canary 17 --partial --force max-removed")]
pub struct UndoArgs {
    /// The list
    pub(super) list: ListId,
    /// The version
    pub(super) serial: Serial,
    /// Why, for the log
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// Override a guard by its name (may be repeated)
    #[arg(long, value_name = "GUARD")]
    pub(super) force: Vec<String>,
    /// Undo what can be undone, though some was changed again since
    #[arg(long)]
    pub(super) partial: bool,
    /// Only show what would happen
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld schedule` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld schedule canary 2027-01-01T00:00:00Z --reason \"order 17 enters into force\"
  bwld schedule canary 2027-01-01T00:00:00Z --cases
  bwld schedule canary --cancel k3Jx0aZqPm2vT7yWb9cD1e")]
pub struct ScheduleArgs {
    /// The list
    pub(super) list: ListId,
    /// When, UTC
    #[arg(required_unless_present = "cancel")]
    pub(super) at: Option<Timestamp>,
    /// The entries that are approved now; else what is staged now
    #[arg(long)]
    pub(super) cases: bool,
    /// Override a guard by its name (may be repeated)
    #[arg(long, value_name = "GUARD")]
    pub(super) force: Vec<String>,
    /// Take this one off
    #[arg(long, value_name = "ID", conflicts_with_all = ["at", "cases"])]
    pub(super) cancel: Option<String>,
    /// Why, for the log
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld freeze` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld freeze canary --reason \"a wrong file went out\"
  bwld freeze canary --thaw
  bwld freeze canary --approvals 2              not frozen: demand two approvals from now on")]
pub struct FreezeArgs {
    /// The list
    pub(super) list: ListId,
    /// Why
    #[arg(long, required_unless_present_any = ["thaw", "approvals"], default_value = "")]
    pub(super) reason: String,
    /// Let it be published again
    #[arg(long)]
    pub(super) thaw: bool,
    /// Only set how many approvals a change needs
    #[arg(long, value_name = "N", conflicts_with_all = ["thaw", "reason"])]
    pub(super) approvals: Option<u8>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `bwld preview` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld preview canary
  bwld preview canary --cases                   of the entries that were proposed and approved
  bwld preview canary www.example.com 192.0.2.1 https://example.com/a")]
pub struct PreviewArgs {
    /// The list
    pub(super) list: ListId,
    /// Names, URLs and addresses to ask about, before and after
    pub(super) questions: Vec<String>,
    /// What publishing the approved entries would do, instead of what is staged
    #[arg(long)]
    pub(super) cases: bool,
    #[command(flatten)]
    pub(super) common: Common,
}
