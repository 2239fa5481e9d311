//! How fast the coordinator is, beside what the machine and other servers can do. Sections: `hot`, `http`, `postgres`,
//! `stored`, `growth`. Each prints a table; the targets that were measured come last.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measures")]

mod support;

use std::time::Duration;

use support::{
    args::Args,
    baseline, compare, growth,
    hot::{self, Heart},
    node::data_directory,
    postgres,
    table::{Table, count, millis, verdict},
    targets::Targets,
};

const CONCURRENCIES: [usize; 4] = [1, 16, 64, 256];

fn main() {
    baseline::serve_trivial_if_asked();
    let args = Args::parse();
    println!(
        "\nCoordinator, store {}, {} cores",
        args.engine,
        std::thread::available_parallelism().map_or(0, usize::from)
    );

    let syncs = baseline::append_and_sync(args.measured().min(Duration::from_secs(2)));
    println!(
        "\nThe machine: append 300 B + fdatasync {}/s, p50 {}, p99 {}",
        count(syncs.rate()),
        millis(syncs.quantile(0.5)),
        millis(syncs.quantile(0.99)),
    );
    if args.wants("hot") {
        hot_session(&args, syncs.rate());
    }
    let mut targets = Targets::default();
    if args.wants("http") {
        compare::peers(&args, &mut targets);
    }
    if args.wants("postgres") {
        postgres::on_postgres(&args, &mut targets);
    }
    if args.wants("stored") {
        compare::stores(&args, &mut targets);
    }
    if args.wants("growth") {
        growth::growth(&args, &mut targets);
    }
    targets.print();
}

/// Measures one session in process with several commands in flight, whose flushes the output gate lets them share.
fn hot_session(args: &Args, syncs: f64) {
    println!("\nOne hot session in process: saving drafts, durable before the answer\n");
    let mut table = Table::new(&[
        "store",
        "in flight",
        "commands/s",
        "x append+fdatasync",
        "p50",
        "p99",
        "flushes/command",
        "target",
        "",
    ]);
    for engine in [&*args.engine, "memory"] {
        let (_directory, data) = data_directory("hot");
        std::fs::create_dir(&data).expect("a directory for the store");
        actix::System::new().block_on(async {
            let heart = Heart::start(hot::store(engine, &data)).await;
            for in_flight in args.concurrencies(&CONCURRENCIES) {
                let before = heart.journal.stats();
                let measured = heart.drive(in_flight, args.warm_up(), args.measured()).await;
                let after = heart.journal.stats();
                let flushes = (after.flushes - before.flushes) as f64 / (after.commits - before.commits) as f64;
                let times = measured.rate() / syncs;
                let aimed = engine != "memory" && in_flight == 64;
                table.row(vec![
                    engine.into(),
                    in_flight.to_string(),
                    count(measured.rate()),
                    format!("{times:.1}"),
                    millis(measured.quantile(0.5)),
                    millis(measured.quantile(0.99)),
                    format!("{flushes:.3}"),
                    if aimed { "8 x" } else { "" }.into(),
                    if aimed { verdict(times >= 8.0) } else { "" }.into(),
                ]);
            }
        });
    }
    table.print();
}
