//! Web servers and balancers that read files: asked for hosts that are blocked and that are not, and again after a change.

use std::net::SocketAddr;

use super::fed::{Fed, origin, status};
use super::files::{RULES, at};
use super::{Program, free_port, recipe, with};

#[test]
fn nginx() {
    with(&["nginx"], || {
        let origin = origin();
        let mut fed = Fed::new(&RULES);
        let (port, conf, here) = (free_port(), fed.text("nginx.conf"), fed.text(""));
        fed.follow(recipe("nginx.toml").with("/etc/nginx/nginx.conf", &conf));
        fed.wait_for_file("out/adult.map");
        let of_recipe = recipe("nginx.conf")
            .with("/var/lib/bwld-follow/out", fed.text("out"))
            .with("192.0.2.1:80", at(port))
            .with("192.0.2.2:80", origin)
            .text();
        let temporary: String =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|t| format!("{t}_temp_path {here}/{t};\n")).concat();
        let base = format!(
            "user root;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{of_recipe}}}\n"
        );
        std::fs::write(&conf, base).expect("written");
        fed.wait_for_reload();
        let mut program = Program::start("nginx", &["-c", &conf, "-e", &fed.text("error.log"), "-g", "daemon off;"]);
        web(&mut fed, &mut program, at(port));
    });
}

/// Asks a web server for what the rules say of hosts, publishes one more and asks again.
fn web(fed: &mut Fed, program: &mut Program, server: SocketAddr) {
    let get = |host: &str| status(server, "/", host);
    program.until("the first answers", || get("fine.example") == Some(200) && get("blocked.example") == Some(451));
    // A worker that gives way to one with newer files may lose a question.
    let mut asked = |hosts: [&str; 3]| hosts.map(|host| program.answer(host, || get(host)));
    assert_eq!(asked(["www.blocked.example", "host.example", "HOST.example:80"]), [451, 451, 451]);
    assert_eq!(asked(["www.host.example", "notblocked.example", "site.example"]), [200, 200, 200]);
    fed.publish(&["subtree:fine.example", "domain:one.example"]);
    // A worker of before may still answer once.
    let now = ["fine.example", "one.example", "www.fine.example", "www.one.example", "blocked.example"];
    program.until("the change", || now.map(get) == [Some(451), Some(451), Some(451), Some(200), Some(451)]);
}

fn haproxy_of(fed: &Fed, port: u16, origin: SocketAddr) -> Program {
    let socket = fed.text("admin.sock");
    recipe("haproxy.cfg")
        .with("/etc/haproxy/adult.map", fed.text("out/adult.map"))
        .with("/run/haproxy/admin.sock", socket)
        .with("192.0.2.1:80", at(port))
        .with("192.0.2.2:80", origin)
        .write(&fed.path("haproxy.cfg"));
    // Master and worker, so that SIGUSR2 reloads.
    let pid = fed.text("haproxy.pid");
    Program::start("haproxy", &["-W", "-f", &fed.text("haproxy.cfg"), "-p", &pid])
}

#[test]
fn haproxy_by_file() {
    with(&["haproxy", "pkill"], || {
        let origin = origin();
        let mut fed = Fed::new(&RULES);
        let reload = format!("\"pkill\", \"-USR2\", \"-F\", \"{}\"", fed.text("haproxy.pid"));
        let outputs = recipe("haproxy.toml").with("/etc/haproxy/adult.map", fed.text("out/adult.map"));
        fed.follow(outputs.with("\"systemctl\", \"reload\", \"haproxy\"", reload));
        fed.wait_for_file("out/adult.map");
        fed.wait_for_reload();
        let port = free_port();
        let mut program = haproxy_of(&fed, port, origin);
        web(&mut fed, &mut program, at(port));
    });
}

#[test]
fn haproxy_by_its_runtime_socket() {
    with(&["haproxy"], || {
        let origin = origin();
        let mut fed = Fed::new(&RULES);
        // So many that they do not fit HAProxy's buffer at once.
        let many: Vec<String> = (0..900).map(|n| format!("domain:host-{n}.of-many.example")).collect();
        fed.publish(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let outputs = recipe("haproxy-socket.toml")
            .with("/etc/haproxy/adult.map", fed.text("out/adult.map"))
            .with("/run/haproxy/admin.sock", fed.text("admin.sock"));
        fed.follow(outputs);
        fed.wait_for_file("out/adult.map");
        let port = free_port();
        let mut program = haproxy_of(&fed, port, origin);
        web(&mut fed, &mut program, at(port));
        assert_eq!(status(at(port), "/", "host-899.of-many.example"), Some(451));
        assert_eq!(program.log().matches("New worker").count(), 1, "one worker from beginning to end: {}", program.log());
    });
}
