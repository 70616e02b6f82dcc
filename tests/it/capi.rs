//! The C interface from the other side: a C compiler, the linker, valgrind, and the example program against the library.
//!
//! What is not installed is skipped and said; with `CI=true` nothing is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bwld::indexes::IndexWriter;
use bwld::list::{Colour, Digest, Serial};
use bwld::matcher::{About, IndexBuilder, Layers, ListState, Lists, Seed, Verdict};

use super::signed;

/// How long a refresh may take to be seen on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a program is here. On CI it must.
fn has(program: &str) -> bool {
    let here = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !here {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must have {program}");
        eprintln!("skipped: needs {program}");
    }
    here
}

fn said(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The folder that this test was built into: it is not locked any more, and most of what is needed is there.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    cargo.current_dir(root()).args(arguments).args(["--locked", "--offline", "-p", "bwld-capi", "--target-dir"]).arg(target);
    cargo
}

/// Where the libraries are, built once, and laid out as they are when installed.
fn library() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let messages = run(cargo(&["build", "--message-format", "json"]).stderr(Stdio::inherit()));
            let folder = tempfile::tempdir().expect("a folder");
            for name in ["libbwldfilter.so", "libbwldfilter.a"] {
                let built = built(&messages, name);
                fs::copy(&built, folder.path().join(name)).unwrap_or_else(|e| panic!("{}: {e}", built.display()));
            }
            std::os::unix::fs::symlink("libbwldfilter.so", folder.path().join("libbwldfilter.so.1")).expect("a link");
            folder
        })
        .path()
}

/// The path that cargo reports for a file of this name.
fn built(messages: &str, name: &str) -> PathBuf {
    let paths = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut paths = paths.filter_map(|message| Some(message["filenames"].as_array()?.clone())).flatten();
    let path = paths.find_map(|path| path.as_str().filter(|p| p.ends_with(&format!("/{name}"))).map(PathBuf::from));
    path.unwrap_or_else(|| panic!("cargo built no {name}"))
}

/// Compiles a program of `capi/` against the shared library.
fn compile(compiler: &str, standard: &str, source: &str, into: &Path) -> PathBuf {
    let program = into.join(format!("{}-{compiler}", Path::new(source).file_stem().expect("a name").display()));
    let mut command = Command::new(compiler);
    if compiler == "g++" {
        command.args(["-x", "c++"]);
    }
    command.arg(standard).args(STRICT).arg("-pthread").arg("-I").arg(root().join("capi/include"));
    command.arg(root().join("capi").join(source)).arg("-o").arg(&program);
    run(command.arg("-L").arg(library()).arg("-lbwldfilter").arg(format!("-Wl,-rpath,{}", library().display())));
    program
}

/// The program as it is, or under valgrind, which ends with 9 if memory is misused or lost.
fn started(program: &Path, valgrind: bool) -> Command {
    if !valgrind {
        return Command::new(program);
    }
    let mut command = Command::new("valgrind");
    command.args(["-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,possible"]);
    command.args(["--fair-sched=yes"]).arg(program);
    command
}

fn answers(mut command: Command, questions: &str) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let questions = questions.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a thread").expect("all questions were read");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Black and white rules as lists have them.
fn lists() -> [(Colour, Vec<String>); 2] {
    let mut black: Vec<String> = (0..600).map(|i| format!("domain:b{i}.example\tcat=adult")).collect();
    black.extend((0..200).map(|i| format!("subtree:s{i}.example\tcat=adult,dating\tref=ref-{i:05}\tage=18\tact=warn")));
    black.extend((0..100).map(|i| format!("prefix:p{i}.example/a/\tcat=gambling")));
    black.extend((0..100).map(|i| format!("url:p{i}.example/b?x=y")));
    black.extend((0..100).map(|i| format!("cidr:192.0.{i}.0/25")));
    black.push("cidr:2001:db8::/32\tact=log".to_owned());
    let white = (0..100).map(|i| format!("subtree:ok.s{i}.example\tcat=education")).collect();
    [(Colour::Black, black), (Colour::White, white)]
}

/// Some thousands of questions: hits and misses of each kind, and what is no question.
fn questions() -> Vec<String> {
    let mut all = Vec::new();
    for i in 0..700 {
        all.extend([format!("b{i}.example"), format!("WWW.b{i}.example."), format!("a.b.s{i}.example"), format!("x.ok.s{i}.example")]);
    }
    for i in 0..130 {
        all.extend([format!("https://p{i}.example/a/c"), format!("p{i}.example/b?x=y"), format!("http://p{i}.example:80/ä")]);
        all.extend([format!("192.0.{i}.9"), format!("192.0.{i}.200"), format!("http://[2001:db8::{i:x}]/x"), format!("b{i}.example:8443")]);
    }
    for none in ["", ".", "a..example", "http://", "1.2.3.4.5", "mailto:x@y.example", "bücher.example", "xn--.example", "com"] {
        all.push(none.to_owned());
    }
    all.push("a".repeat(9_000));
    all
}

/// What the Rust interface says, in the words of the example.
fn expected(questions: &[String]) -> Vec<String> {
    let mut set = Lists::new();
    for (colour, lines) in lists() {
        let about = About {
            origin: "file".parse().expect("an origin"),
            list: colour.to_string().parse().expect("a list"),
            colour,
            serial: Serial::FIRST,
            root: Digest::of(""),
        };
        let mut builder = IndexBuilder::new(about.clone(), Seed::new(*b"another seed ..."));
        lines.iter().for_each(|line| builder.push(line).expect("canonical"));
        let About { origin, list, .. } = about;
        let state = ListState { origin, list, colour, serial: None, expires: None, local: false };
        set = set.with_list(state, Some(Layers::new(builder.finish().expect("an index").into()))).expect("whole");
    }
    questions.iter().map(|question| line_for(&set, question)).collect()
}

fn line_for(set: &Lists, question: &str) -> String {
    let verdict = match set.ask(question, signed::now()) {
        Ok(verdict) => verdict,
        Err(error) => return format!("invalid\t{question}\t\t\t{error}"),
    };
    let mut line = format!("{}\t{question}", verdict.word());
    let Some(by) = verdict.decided_by() else { return line + "\t\t\t" };
    let attributes = by.attributes().expect("whole");
    let categories: Vec<&str> = attributes.categories.iter().map(|code| code.as_str()).collect();
    let _ = write!(line, "\t{}\t{}\t{}", by.rule().expect("whole"), by.list().list, categories.join(","));
    if let (Verdict::Block(_), Some(action)) = (&verdict, attributes.action) {
        let _ = write!(line, "\t{} only", action.word());
    }
    if let Some(age) = attributes.age {
        let _ = write!(line, "\tbelow {age} years");
    }
    if let Some(reference) = attributes.reference {
        let _ = write!(line, "\treference {reference}");
    }
    line
}

/// Writes the lists as files and gives the arguments that name them.
fn files(folder: &Path) -> Vec<String> {
    lists()
        .into_iter()
        .flat_map(|(colour, lines)| {
            let path = folder.join(format!("{colour}.txt"));
            fs::write(&path, lines.join("\n") + "\n").expect("written");
            let letter = if colour == Colour::Black { "-b" } else { "-w" };
            [letter.to_owned(), path.to_str().expect("a path in text").to_owned()]
        })
        .collect()
}

fn assert_same(found: &[String], expected: &[String]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
}

#[test]
fn the_example_in_c_answers_as_the_library_does_while_a_thread_refreshes() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile("gcc", "-std=c99", "examples/filter.c", folder.path());
    let arguments = files(folder.path());
    let questions = questions();
    let expected = expected(&questions);
    let ask = |valgrind: bool, questions: &[String]| {
        let mut command = started(&program, valgrind);
        command.args(&arguments).args(["-r", "20"]);
        answers(command, &(questions.join("\n") + "\n"))
    };
    let kinds: BTreeSet<&str> = expected.iter().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(kinds, BTreeSet::from(["allow", "block", "invalid", "unlisted"]), "the questions meet everything");
    assert!(questions.len() > 3_000);
    assert_same(&ask(false, &questions), &expected);
    if has("valgrind") {
        let (some, of): (Vec<String>, Vec<String>) = questions.into_iter().zip(expected).step_by(7).unzip();
        assert_same(&ask(true, &some), &of);
    }
}

fn followed(serial: Option<Serial>) -> ListState {
    ListState { origin: signed::origin(), list: signed::list("adult"), colour: Colour::Black, serial, expires: None, local: false }
}

/// Publishes a version of list *adult* in a folder as the follower does.
fn publish(writer: &IndexWriter, number: u64, lines: &str) {
    let state = followed(Some(signed::serial(number)));
    let (origin, list) = (state.origin.clone(), state.list.clone());
    let about = About { origin, list, colour: state.colour, serial: signed::serial(number), root: Digest::of(lines) };
    let mut builder = IndexBuilder::new(about, writer.seed());
    lines.lines().for_each(|line| builder.push(line).expect("canonical"));
    let layers = Layers::new(builder.finish().expect("an index").into());
    writer.list(&state.list).publish(&state, Some(&layers)).expect("written");
}

#[test]
fn the_example_follows_a_folder_that_changes_under_it() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile("gcc", "-std=c99", "examples/filter.c", folder.path());
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).expect("a folder");
    // Wanted, and never arrived.
    let writer = IndexWriter::open(&kept, &[followed(None)]).expect("a folder of indexes");

    let mut command = started(&program, has("valgrind"));
    command.arg("-f").arg(&kept).args(["-r", "20"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut wait_for = |expected: &str| {
        let began = Instant::now();
        loop {
            stdin.write_all(b"www.one.example\n").expect("it reads");
            let line = lines.next().expect("it answers").expect("text");
            if line == expected {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{line:?}, not {expected:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("no-data\twww.one.example\t\tadult\t");
    publish(&writer, 1, "subtree:one.example\tcat=adult\n");
    wait_for("block\twww.one.example\tsubtree:one.example\tadult\tadult");
    publish(&writer, 2, "subtree:two.example\tcat=adult\n");
    wait_for("unlisted\twww.one.example\t\t\t");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("adult: not here yet"), "{}", said(&output));

    // A file that was damaged: said at the start, and nobody knows.
    let files = fs::read_dir(kept.join("index/adult")).expect("a folder").map(|file| file.expect("a file").path());
    let index = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "idx")).expect("an index");
    let mut octets = fs::read(&index).expect("an index");
    octets[100] ^= 1;
    fs::write(&index, octets).expect("written");
    let output = Command::new(&program).arg("-f").arg(&kept).arg("one.example").output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no-data\tone.example\t\tadult\t\tdamaged\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains(".idx: "), "{}", said(&output));
}

#[test]
fn every_function_keeps_what_the_header_says_of_it_in_c_and_in_cpp() {
    if !has("gcc") || !has("g++") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (compiler, standard) in [("gcc", "-std=c99"), ("g++", "-std=c++11")] {
        let program = compile(compiler, standard, "tests/calls.c", folder.path());
        run(&mut started(&program, false));
        if compiler == "gcc" && has("valgrind") {
            run(&mut started(&program, true));
        }
    }
}

#[test]
fn the_static_library_links_with_what_the_pkg_config_file_says() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = fs::read_to_string(root().join("capi/bwldfilter.pc.in")).expect("bwldfilter.pc.in");
    let private = config.lines().find_map(|line| line.strip_prefix("Libs.private: ")).expect("what a static program needs");
    let program = folder.path().join("calls-static");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c99", "-I"]).arg(root().join("capi/include")).arg(root().join("capi/tests/calls.c")).arg("-o").arg(&program);
    run(gcc.arg(library().join("libbwldfilter.a")).args(private.split(' ')));
    run(&mut Command::new(&program));
}

#[test]
fn the_shared_library_exports_what_the_header_declares_and_nothing_else() {
    if !has("nm") {
        return;
    }
    let header = fs::read_to_string(root().join("capi/include/bwld.h")).expect("bwld.h");
    let code = without_comments(&header);
    // A name before a parenthesis is a function; every one is declared once.
    let declared: BTreeSet<&str> = code
        .match_indices('(')
        .filter_map(|(at, _)| code[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .filter(|name| name.starts_with("bwld_"))
        .collect();
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library().join("libbwldfilter.so")));
    let exported: BTreeSet<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(exported, declared);
    assert!(declared.len() > 10);
    let dynamic = run(Command::new("readelf").arg("-d").arg(library().join("libbwldfilter.so")));
    assert!(dynamic.contains("[libbwldfilter.so.1]"), "a name with the version of the interface: {dynamic}");
    assert!(code.contains("#define BWLD_ABI 1\n"));
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").expect("a comment ends").1;
    }
    code + rest
}

#[test]
fn the_tests_behind_the_border_pass() {
    // A panic that is caught there, allocations that are counted there: what cannot be seen from C.
    run(cargo(&["test", "--quiet", "--lib"]).stderr(Stdio::inherit()));
}
