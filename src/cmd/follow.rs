//! `bwld follow`: the subscriber's daemon.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::follower::{Follower, FollowerOptions};
use crate::store::SystemClock;

use super::following::{self, Choice};
use super::serve::tasks::{self, Stop};
use super::{logging, out};

/// What `bwld follow` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each list is kept as a sorted text file, replaced in one step when it changes. `bwld status` tells how it stands.

Examples:
  bwld follow http://127.0.0.1:7080 --trust sha256:... --list canary
  bwld follow https://lists.example.org https://mirror.example.net --trust sha256:... \\
      --list adult=/etc/squid/adult.txt --reload squid --reload=-k --reload reconfigure
  bwld --config /etc/bwld/bwld.toml follow")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Ask at intervals instead of letting the publisher push
    #[arg(long)]
    no_push: bool,
}

/// Runs it.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let settings = args.choice.load(config)?;
    let mut options = following::options(&settings)?;
    options.push &= !args.no_push;
    logging::start(&settings.log);
    super::tls();
    let dir = following::folder(&settings.follow);
    let greeting = greeting(&dir, &options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("bwld")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let follower = Follower::open(&dir, options, Arc::new(SystemClock)).map_err(following::ended)?;
        let stop = Arc::new(Stop::new(None));
        tasks::signals(stop.clone())?;
        tokio::spawn(tasks::watchdog(stop.clone()));
        out::print(&greeting)?;
        tasks::tell(&[sd_notify::NotifyState::Ready]);
        let mut stopping = stop.subscribe();
        follower
            .run(async move {
                // An error means that nobody can ask any more: stop as well.
                let _ = stopping.wait_for(Option::is_some).await;
            })
            .await;
        tasks::tell(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopped");
        Ok(())
    })
}

fn greeting(dir: &Path, options: &FollowerOptions) -> String {
    let mut text = format!(
        "bwld {} follows {}\n\n",
        env!("CARGO_PKG_VERSION"),
        options.urls.iter().map(url::Url::as_str).collect::<Vec<_>>().join(" ")
    );
    let mut rows = Vec::new();
    for list in &options.lists {
        let output = list.output.as_ref().map_or_else(String::new, |o| o.display().to_string());
        rows.push(vec![format!("  {}", list.id), "->".into(), output]);
    }
    for output in &options.outputs {
        let lists: Vec<&str> = output.lists.iter().map(crate::list::ListId::as_str).collect();
        rows.push(vec![format!("  {} as {}", lists.join("+"), output.format), "->".into(), output.file.display().to_string()]);
    }
    text.push_str(&out::table(&rows));
    text.push_str(&format!("\nHow it stands: bwld status --dir {}\nCtrl-C stops.\n", dir.display()));
    text
}
