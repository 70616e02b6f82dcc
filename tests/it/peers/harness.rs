//! The harness holds itself to what it promises.

use std::net::{SocketAddr, UdpSocket};

use domain::base::Rtype;

use super::{Program, World, ask, find, is_alone, with};

#[test]
fn the_world_answers_for_every_name() {
    let world = World::start();
    let answer = ask(world.address(), "any.name.example", Rtype::A).expect("an answer");
    assert_eq!(answer.records, ["A 198.18.0.1"]);
    assert!(answer.has_records() && !answer.truncated, "{answer:?}");
    assert!(ask(world.address(), "any.name.example", Rtype::AAAA).expect("an answer").is_nodata());
}

#[test]
fn alone_every_port_is_free_and_the_network_out_of_reach() {
    with(&["sh"], || {
        if is_alone() {
            let world = World::at(SocketAddr::from(([127, 0, 0, 53], 53)));
            assert!(ask(world.address(), "a.example", Rtype::A).is_some_and(|a| a.has_records()));
            assert!(UdpSocket::bind("127.0.0.1:0").is_ok());
        }
    });
}

#[test]
fn who_means_to_leave_is_found_out() {
    let caught = std::panic::catch_unwind(|| {
        with(&["sh"], || {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            assert!(!is_alone() || socket.send_to(b"x", "198.18.0.1:9").is_err(), "nothing leaves");
        });
    });
    // The process that is alone must fail, so this one catches it; and then inside, nobody catches `with`'s own check.
    if is_alone() {
        if let Err(why) = caught {
            std::panic::resume_unwind(why);
        }
    } else {
        assert!(caught.is_err() || !super::alone::possible(), "a packet for the network went unnoticed");
    }
}

#[test]
fn a_program_is_listened_to_and_ended() {
    assert!(find("no-such-program-anywhere").is_none());
    let mut program = Program::start("sh", &["-c", "echo one; echo two >&2; exec sleep 1000"]);
    program.says("one");
    program.says("two");
    assert!(program.resident() > 0);
    assert!(!program.stop().success());
    let mut program = Program::start("sh", &["-c", "echo broken; exit 3"]);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.says("ready")));
    let why = *failed.expect_err("it ended").downcast::<String>().expect("a text");
    assert!(why.contains("broken") && why.contains("exit status: 3"), "{why}");
}
