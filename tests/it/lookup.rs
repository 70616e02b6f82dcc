//! `bwld lookup` through the built program: a followed folder while changes arrive, list files, own rules, policies, streams.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::{fs, thread};

use bwld::indexes::IndexFolder;
use bwld::list::{Digest, Serial, Timestamp};
use bwld::matcher::{About, IndexBuilder, Layers, ListState, Lists, Matcher, Question, Seed};

use crate::support::{Daemon, Place, Said, wait_for};

/// A publisher with a black list `adult` and a white list `school`, and where it is.
fn published(place: &Place) -> (Daemon, String, String) {
    let daemon = place.serve();
    for (list, colour, entry) in [("adult", "black", "subtree:adult.example"), ("school", "white", "domain:ok.adult.example")] {
        place.run(&["list", "create", list, "--colour", colour, "--title", "Test"]).with_code(0);
        place.run(&["add", list, entry, "--publish"]).with_code(0);
    }
    let (address, fingerprint) = (daemon.address(), daemon.greeted("fingerprint "));
    (daemon, address, fingerprint)
}

fn columns(said: &Said) -> Vec<Vec<String>> {
    said.out.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Question and verdict of each line.
fn verdicts(said: &Said) -> Vec<(String, String)> {
    columns(said).into_iter().map(|line| (line[0].clone(), line[1].clone())).collect()
}

fn records(said: &Said) -> Vec<serde_json::Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_followed_folder_answers_while_changes_arrive() {
    let place = Place::new();
    let (_publisher, address, fingerprint) = published(&place);
    let follower = place.follow(&[&address, "--trust", &fingerprint, "--list", "adult", "--list", "school", "--list", "later"]);
    wait_for("both lists are there", || {
        let said = place.run(&["lookup", "www.adult.example", "ok.adult.example"]);
        verdicts(&said).iter().map(|(_, verdict)| verdict.as_str()).eq(["block", "allow"])
    });
    // A list that is followed and never arrived: nobody knows.
    let said = place.run(&["lookup", "other.example"]).with_code(1);
    assert_eq!(columns(&said)[0], ["other.example", "no-data", "-", "later", "never arrived"]);
    assert!(said.err.contains("later"), "{}", said.err);
    let said =
        place.run(&["lookup", "--list", "adult", "--list", "school", "other.example", "https://ok.adult.example:8443/x"]).with_code(0);
    assert_eq!(columns(&said)[0], ["other.example", "unlisted", "-", "-"]);
    assert_eq!(columns(&said)[1][1..4], ["allow", "domain:ok.adult.example", "school 1"]);
    let said = place.run(&["lookup", "--json", "www.adult.example"]).with_code(0);
    let record = &records(&said)[0];
    assert_eq!(record["incomplete"], true, "a list that is missing could have said otherwise: {record}");
    let expected = ("block", "subtree:adult.example", "subtree", "adult", 1);
    let found = (&record["verdict"], &record["rule"], &record["kind"], &record["list"], &record["serial"]);
    assert!(found == (&expected.0.into(), &expected.1.into(), &expected.2.into(), &expected.3.into(), &expected.4.into()), "{record}");

    // A process that stays, and a stream that stays open.
    let mut folder = IndexFolder::open(&place.path("bwld-follow")).expect("a folder with indexes");
    let matcher = Matcher::new(folder.load().expect("lists"));
    let mut stream = place.command(&["lookup", "--list", "adult"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut input = stream.stdin.take().expect("a pipe");
    let mut output = BufReader::new(stream.stdout.take().expect("a pipe")).lines();
    let mut ask = |name: &str| {
        writeln!(input, "{name}").expect("it reads");
        output.next().expect("an answer").expect("text")
    };
    assert!(ask("new.example").starts_with("new.example\tunlisted\t"));
    let now = Timestamp::from_unix(1);
    assert_eq!(matcher.load().ask("new.example", now).expect("a question").word(), "no-data");
    place.run(&["add", "adult", "new.example", "--publish"]).with_code(0);
    wait_for("the stream has the change", || ask("new.example").starts_with("new.example\tblock\tdomain:new.example\tadult 2"));
    wait_for("the reader has the change", || {
        folder.refresh(&matcher).expect("the folder");
        matcher.load().ask("new.example", now).expect("a question").word() == "block"
    });
    drop(input);
    assert!(stream.wait().expect("it ends").success());
    place.run(&["list", "create", "later", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "later", "late.example", "--publish"]).with_code(0);
    wait_for("the missing list arrives", || verdicts(&place.run(&["lookup", "late.example"]))[0].1 == "block");
    place.run(&["lookup", "other.example"]).with_code(0);
    assert!(follower.stop().success());
    // The follower has gone; its lists answer, until they are past their time.
    assert_eq!(verdicts(&place.run(&["lookup", "new.example"]).with_code(0))[0].1, "block");
    let said = place.run(&["lookup", "--at", "2050-01-01T00:00:00Z", "new.example"]).with_code(4);
    assert!(columns(&said)[0].contains(&"stale".to_owned()) && said.err.contains("stale: adult"), "{}{}", said.out, said.err);
}

#[test]
fn damage_and_absence_are_said_with_what_to_do() {
    let place = Place::new();
    let (_publisher, address, fingerprint) = published(&place);
    let pull = ["pull", &address, "--trust", &fingerprint, "--list", "adult", "--list", "school", "--dir", "f"];
    place.run(&pull).with_code(0);
    assert!(place.run(&["verify", "folder", "f"]).with_code(0).out.contains("index of serial 1"));
    let folder = place.path("f/index/adult");
    let index =
        fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()).find(|p| p.extension().is_some_and(|e| e == "idx"));
    let index = index.expect("an index");
    fs::write(&index, "damaged").expect("written");
    let said = place.run(&["lookup", "--dir", "f", "www.adult.example", "ok.adult.example"]).with_code(1);
    assert!(
        said.err.contains(&index.file_name().expect("a name").to_string_lossy().into_owned()) && said.err.contains("restart the follower")
    );
    assert_eq!(columns(&said)[0], ["www.adult.example", "no-data", "-", "adult 1", "damaged"]);
    assert_eq!(verdicts(&said)[1].1, "allow", "the other list answers");
    place.run(&["verify", "folder", "f"]).with_code(3);
    place.run(&pull).with_code(0);
    place.run(&["lookup", "--dir", "f", "www.adult.example"]).with_code(0);

    let said = place.run(&["lookup", "--dir", "f", "--list", "nosuch", "a.example"]).with_code(2);
    assert!(said.err.contains("nosuch"), "{}", said.err);
    let said = place.run(&["lookup", "--dir", "nowhere", "a.example"]).with_code(1);
    assert!(said.err.contains("nowhere") && said.err.contains("index = true"), "{}", said.err);
    place.run(&[&pull[..], &["--no-index"]].concat()).with_code(0);
    place.run(&["lookup", "--dir", "f", "a.example"]).with_code(1);
}

#[test]
fn list_files_own_rules_and_policies() {
    let place = Place::new();
    place.write(
        "black.txt",
        "# id: adult\n# colour: black\nsubtree:adult.example\tcat=adult\tref=CASE-0001\tage=18\ndomain:ads.example\tcat=ads\n\
         subtree:bad.example\tcat=malware\nprefix:mixed.example/bad/\ncidr:192.0.2.0/24\tact=warn\n",
    );
    place.write("hosts", "0.0.0.0 tracker.example\n0.0.0.0 not_a host?name\n");
    place.write("white.txt", "good.bad.example\n");
    let black = ["lookup", "--file", "black.txt"];
    let ask = |options: &[&str]| place.run(&[&black[..], options].concat());
    let said = ask(&["www.adult.example"]).with_code(0);
    assert_eq!(columns(&said)[0], ["www.adult.example", "block", "subtree:adult.example", "adult", "cat=adult", "ref=CASE-0001", "age=18"]);
    let said = ask(&["mixed.example", "mixed.example/bad/x", "192.0.2.7", "http://192.0.2.8:81/"]).with_code(0);
    assert!(verdicts(&said).iter().map(|(_, v)| v.as_str()).eq(["unlisted", "block", "block", "block"]), "{}", said.out);
    assert!(columns(&said)[2].contains(&"act=warn".to_owned()), "{}", said.out);
    let said = place.run(&["lookup", "--file", "hosts", "--file", "black.txt", "tracker.example", "ads.example"]).with_code(0);
    assert!(said.out.contains("hosts") && said.err.contains("hosts, line 2"), "{}{}", said.out, said.err);
    assert!(verdicts(&said).iter().all(|(_, verdict)| verdict == "block"));

    // Age and categories, by options and by a file.
    let word = |options: &[&str], name: &str| verdicts(&ask(&[options, &[name]].concat()).with_code(0))[0].1.clone();
    assert_eq!([word(&["--age", "17"], "adult.example"), word(&["--age", "18"], "adult.example")], ["block", "unlisted"]);
    assert_eq!([word(&["--category-off", "ads"], "ads.example"), word(&["--category-off", "ads"], "adult.example")], ["unlisted", "block"]);
    assert_eq!(
        [word(&["--category-only", "ads"], "ads.example"), word(&["--category-only", "ads"], "adult.example")],
        ["block", "unlisted"]
    );
    place.write("policy.toml", "age = 18\nprecedence = \"more-specific\"\n[categories]\nexcept = [\"ads\"]\n");
    assert_eq!(
        [word(&["--policy", "policy.toml"], "adult.example"), word(&["--policy", "policy.toml"], "ads.example")],
        ["unlisted", "unlisted"]
    );
    place.write("wrong.toml", "ages = 18\n");
    assert!(ask(&["--policy", "wrong.toml", "a.example"]).with_code(2).err.contains("wrong.toml"));

    // White over black, unless the policy says otherwise; own rules over both.
    let both = ["--file", "white.txt", "--white"];
    let with = |options: &[&str]| word(&[&both[..], options].concat(), "good.bad.example");
    assert_eq!([with(&[]), with(&["--precedence", "black-over-white"])], ["allow", "block"]);
    place.write("allow.txt", "subtree:bad.example\n");
    place.write("deny.txt", "good.bad.example\n");
    assert_eq!(word(&["--allow", "allow.txt"], "x.bad.example"), "allow");
    assert_eq!(with(&["--deny", "deny.txt"]), "block");
    assert_eq!(with(&["--deny", "deny.txt", "--allow", "allow.txt"]), "block", "the more specific of the own rules");
    place.write("own.txt", "ok.example\nnot a name\n");
    let said = ask(&["--allow", "own.txt", "a.example"]).with_code(2);
    assert!(said.err.contains("own.txt, line 2"), "{}", said.err);

    let said =
        ask(&["--explain", "--file", "white.txt", "--white", "--allow", "allow.txt", "--age", "18", "good.bad.example"]).with_code(0);
    let lines = columns(&said);
    assert_eq!(lines[0][..3], ["good.bad.example", "allow", "subtree:bad.example"]);
    assert!(lines[1][1] == "allow" && lines[1][4].starts_with("decided: "), "{}", said.out);
    let outcome = |rule: &str, list: &str| lines.iter().skip(1).find(|l| l[2].starts_with(rule) && l[3] == list).expect(rule)[4].clone();
    assert!(outcome("domain:good.bad.example", "white").starts_with("local-won: "), "{}", said.out);
    assert!(outcome("subtree:bad.example", "adult").starts_with("local-won: "), "{}", said.out);
    let said = ask(&["--explain", "--json", "--age", "18", "adult.example"]).with_code(0);
    let record = &records(&said)[0];
    assert_eq!((&record["verdict"], &record["considered"][0]["outcome"]), (&"unlisted".into(), &"old-enough".into()), "{record}");
    let said = ask(&["--explain", "--file", "white.txt", "--white", "good.bad.example"]).with_code(0);
    assert!(said.out.contains("overruled: white wins over black"), "{}", said.out);
}

#[test]
fn exit_codes_of_a_single_name() {
    let place = Place::new();
    place.write("black.txt", "a.example\n");
    place.write("white.txt", "w.example\n");
    let ask = |name: &str| place.run(&["lookup", "--file", "black.txt", "--exit-code", "--quiet", name]);
    for (name, code) in [("a.example", 10), ("b.example", 0), ("exa mple", 12), ("", 12)] {
        let said = ask(name).with_code(code);
        assert!(said.out.is_empty() && said.err.is_empty(), "{}{}", said.out, said.err);
    }
    place.run(&["lookup", "--file", "white.txt", "--white", "--exit-code", "w.example"]).with_code(0);
    place.run(&["lookup", "--file", "black.txt", "--exit-code"]).with_code(2);
    place.run(&["lookup", "--file", "black.txt", "--exit-code", "a.example", "b.example"]).with_code(2);
    place.run(&["lookup", "--file", "nosuch.txt", "a.example"]).with_code(1);
    // Bad questions end nothing.
    let said = place.run(&["lookup", "--file", "black.txt", "exa mple", "a.example"]).with_code(0);
    assert!(verdicts(&said).iter().map(|(_, v)| v.as_str()).eq(["invalid", "block"]), "{}", said.out);
}

/// The same lists in this process.
fn library(lines: &[String]) -> Lists {
    let about = About {
        origin: "file".parse().expect("an origin"),
        list: "black".parse().expect("a list"),
        colour: bwld::list::Colour::Black,
        serial: Serial::FIRST,
        root: Digest::of(""),
    };
    let mut builder = IndexBuilder::new(about.clone(), Seed::new([7; 16]));
    lines.iter().for_each(|line| builder.push(line).expect(line));
    let About { origin, list, colour, .. } = about;
    let state = ListState { origin, list, colour, serial: None, expires: None, local: false };
    Lists::new().with_list(state, Some(Layers::new(builder.finish().expect("an index").into()))).expect("lists")
}

#[test]
fn many_lines_are_answered_in_order_as_each_of_them_alone() {
    let place = Place::new();
    let rules: Vec<String> = (0..3_000).map(|n| format!("{}:n{}.example", ["domain", "subtree"][n % 2], n * 7)).collect();
    place.write("black.txt", rules.join("\n"));
    let lists = library(&rules);
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    let now = Timestamp::from_unix(0);
    for n in 0..200_000_usize {
        let line = match n % 1_000 {
            500 => b"\xff\xfe.example".to_vec(),
            501 => vec![b'x'; if n == 100_501 { 3_000_000 } else { 9_000 }],
            502 => Vec::new(),
            503 => b"a b".to_vec(),
            _ => [["", "www.", "a.b."][n % 3], &format!("n{}.example", n % 30_011)].concat().into_bytes(),
        };
        expected.push(Question::parse_octets(&line).map_or("invalid", |question| lists.look_up(&question, now).word()));
        input.extend_from_slice(&line);
        input.extend_from_slice(if n % 5 == 0 { b"\r\n" } else { b"\n" });
    }
    input.pop();
    let said = place.run_with_input(&["lookup", "--file", "black.txt"], &input).with_code(0);
    let found: Vec<&str> = said.out.lines().map(|line| line.split('\t').nth(1).expect("a verdict")).collect();
    assert_eq!(found.len(), expected.len());
    if let Some(n) = (0..found.len()).find(|n| found[*n] != expected[*n]) {
        panic!("line {n}: {} where {} is due", found[n], expected[n]);
    }
    assert!(said.out.lines().all(|line| line.len() < 9_000), "a line that is too long is not echoed");
    let number = |word: &str| expected.iter().filter(|e| **e == word).count();
    assert!(said.err.contains(&format!("{} of 200,000 questions were invalid", number("invalid"))), "{}", said.err);
    let said = place.run_with_input(&["lookup", "--file", "black.txt", "--count", "-"], &input).with_code(0);
    assert!(said.out.contains(&format!("block\t{}\n", number("block"))), "{}", said.out);
    let said = place.run_with_input(&["lookup", "--file", "black.txt", "--only", "block", "--json"], &input).with_code(0);
    assert_eq!(said.out.lines().count(), number("block"));
    let said = place.run_with_input(&["lookup", "--file", "black.txt", "--quiet"], &input[..1_000]).with_code(0);
    assert_eq!(said.out, "");
}

#[test]
fn a_stream_is_answered_as_it_comes_and_a_reader_that_leaves_ends_it() {
    let place = Place::new();
    place.write("black.txt", "a.example\n");
    let mut child =
        place.command(&["lookup", "--file", "black.txt"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    input.write_all(b"a.example\nb.exa").expect("it reads");
    let mut line = String::new();
    output.read_line(&mut line).expect("an answer");
    assert!(line.starts_with("a.example\tblock\t"), "{line}");
    input.write_all(b"mple\n").expect("it reads");
    line.clear();
    output.read_line(&mut line).expect("an answer");
    assert!(line.starts_with("b.example\tunlisted\t"), "{line}");
    drop(output);
    // Nobody reads any more: it ends, although there would be more to ask.
    let feeder = thread::spawn(move || while input.write_all(b"a.example\n").is_ok() {});
    assert!(child.wait().expect("it ends").success());
    feeder.join().expect("the pipe is closed");
}
