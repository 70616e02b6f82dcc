//! Gives the shared library its name: programs ask for the version of the interface they were built with.

/// As `BWLD_ABI` in `include/bwld.h`: one more whenever a program that was linked before could not go on.
const ABI: u32 = 1;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os == "freebsd") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libbwldfilter.so.{ABI}");
    }
}
