//! A download that is cut off goes on where it stood: counted in octets on the wire, between the follower and the publisher.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::front::{Front, Home};
use crate::publishing::World;

/// A wire that is cut once, when so many octets have come down it, and counts all of them.
struct Wire {
    address: SocketAddr,
    down: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut below: TcpStream, above: SocketAddr, down: Arc<AtomicU64>, cut_at: Arc<AtomicU64>) {
    let mut above = TcpStream::connect(above).await.expect("the publisher");
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = below.read(&mut asked) => match read {
                Ok(count @ 1..) => above.write_all(&asked[..count]).await.expect("the publisher reads"),
                _ => return,
            },
            read = above.read(&mut answered) => match read {
                Ok(count @ 1..) => {
                    let so_far = down.fetch_add(count as u64, Ordering::SeqCst) + count as u64;
                    if below.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                    let at = cut_at.load(Ordering::SeqCst);
                    if so_far >= at {
                        cut_at.store(u64::MAX, Ordering::SeqCst);
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

impl Wire {
    async fn to(above: SocketAddr, cut_at: u64) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (down, cut_at) = (Arc::<AtomicU64>::default(), Arc::new(AtomicU64::new(cut_at)));
        let counted = down.clone();
        let task = tokio::spawn(async move {
            while let Ok((below, _)) = listener.accept().await {
                tokio::spawn(carry(below, above, counted.clone(), cut_at.clone()));
            }
        });
        Wire { address, down, task }
    }
}

#[tokio::test]
async fn a_snapshot_that_is_cut_off_goes_on_where_it_stood() {
    let world = World::new();
    // Names that compress badly, so that there is something to cut.
    let names = (0..20_000u64).map(|n| format!("+domain:{:016x}.example", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let list = world.publish("big", &names.collect::<Vec<_>>());
    let size = list.bases[0].snapshot_zst;
    assert!(size > 100_000, "{size} octets");
    let front = Front::start(&world).await;
    let wire = Wire::to(front.address, size * 2 / 3).await;
    let home = Home::new(&world, &[wire.address], &["big"]);
    let running = home.run();
    super::front::until("the list", || home.is_current("big")).await;
    running.stop().await;
    let gets = front.asked().iter().filter(|asked| asked.starts_with("GET") && asked.contains("/snapshot/")).count();
    assert_eq!(gets, 2, "the wire was cut in the middle of it");
    let down = wire.down.load(Ordering::SeqCst);
    // What was on its way when the wire was cut, and the heads and events beside it.
    assert!(down < size + 40_000, "{down} octets for a snapshot of {size}: it began anew");
}
