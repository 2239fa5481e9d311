//! What the demo prints: plain text, in colour if stdout is a terminal.

use std::{
    fmt,
    io::{IsTerminal, Write},
    path::Path,
    time::Duration,
};

use super::client::Partner;
use crate::push::fake_expo::Notification;

#[derive(Clone, Copy)]
enum Style {
    Title,
    Name,
    Faint,
    Realtime,
    Push,
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Style::Title => "1",
            Style::Name => "1;36",
            Style::Faint => "2",
            Style::Realtime => "32",
            Style::Push => "33",
            Style::Bad => "1;31",
        }
    }
}

/// Totals for the last line.
#[derive(Clone, Copy, Default)]
pub struct Totals {
    pub commands: u32,
    pub heard: u32,
    pub pushes: u32,
}

#[derive(Clone, Copy)]
pub struct Narrator {
    colour: bool,
}

impl Narrator {
    pub fn to_stdout() -> Self {
        Self { colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub fn opening(&self, url: &str, directory: &Path, expo: &str) {
        let title = format!("Tandem {}: two partners, five stages, one binary", env!("CARGO_PKG_VERSION"));
        self.say(format_args!("{}", self.paint(Style::Title, &title)));
        self.say(format_args!("  server  {url}, everything embedded, data in {}", directory.display()));
        self.say(format_args!("  push    to a stand-in for Expo at {expo}"));
    }

    /// The page's address comes first, for scripts.
    pub fn phones(&self, page: &str, url: &str, directory: &Path) {
        self.say(format_args!("{}: {page}", self.paint(Style::Title, "Two phones")));
        self.say(format_args!("  server  {url}, everything embedded, data in {}", directory.display()));
        self.say(format_args!("  console {page}console signs in, for the operator's view"));
        self.say(format_args!("  Ctrl-C ends it"));
    }

    pub fn chapter(&self, title: &str) {
        self.say(format_args!("\n{}", self.paint(Style::Title, title)));
    }

    pub fn did(&self, who: &str, what: &str, how: &str, status: u16, took: Duration) {
        let status = if status == 0 { String::new() } else { format!(" {status}") };
        let how = self.paint(Style::Faint, &format!("{how}{status}, {}", Millis(took)));
        self.say(format_args!("  {} {what:<52} {how}", self.name(who)));
    }

    pub fn aside(&self, who: &str, what: &str) {
        self.say(format_args!("  {} {what}", self.name(who)));
    }

    pub fn heard(&self, who: &str, event: &str, detail: &str, after: Option<Duration>) {
        let detail = after.map_or_else(String::new, |after| format!("{detail}, after {}", Millis(after)));
        let (event, detail) = (self.paint(Style::Realtime, event), self.paint(Style::Faint, &detail));
        self.say(format_args!("        ~ {who} hears {event}{}{detail}", if detail.is_empty() { "" } else { "  " }));
    }

    pub fn pushed(&self, who: &str, push: &Notification, after: Duration) {
        let text = format!("\"{}: {}\"", push.title, push.body);
        let detail = format!("data {}, after {}", push.data, Millis(after));
        let text = self.paint(Style::Push, &text);
        self.say(format_args!("        > {who}'s phone shows {text}"));
        self.say(format_args!("          {}", self.paint(Style::Faint, &detail)));
    }

    pub fn closing(&self, counted: Totals, took: Duration) {
        let Totals { commands, heard, pushes } = counted;
        self.say(format_args!(
            "\n{} {commands} commands, {heard} events heard, {pushes} pushes, one killed server, nothing lost, in {:.1} s",
            self.paint(Style::Title, "Resolved."),
            took.as_secs_f64()
        ));
    }

    pub fn failed(&self, log: &[String]) {
        self.say(format_args!("\n{}", self.paint(Style::Bad, "The demo stops here. The server's last words:")));
        log.iter().for_each(|line| self.say(format_args!("  {line}")));
    }

    pub fn keep(&self, url: &str, alex: &Partner, sam: &Partner, session: &str) {
        self.say(format_args!("\n{}", self.paint(Style::Title, "The server stays until Ctrl-C. Try:")));
        for partner in [alex, sam] {
            self.say(format_args!("  {}='{}'", partner.name.to_uppercase(), partner.token));
        }
        let api = format!("{url}/api/v1");
        self.say(format_args!("  curl -s {api}/sessions/{session}/state -H \"Authorization: Bearer $ALEX\""));
        self.say(format_args!("  curl -s {api}/sessions/{session}/events -H \"Authorization: Bearer $SAM\""));
        self.say(format_args!(
            "  curl -s {api}/sessions -H \"Authorization: Bearer $ALEX\" --json '{{\"inviteName\":\"Sam\"}}'"
        ));
        self.say(format_args!("  curl -s {url}/metrics"));
    }

    fn name(&self, who: &str) -> String {
        self.paint(Style::Name, &format!("{who:<5}"))
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    /// Ignores a closed pipe: the reader of the output may stop reading.
    fn say(&self, line: fmt::Arguments<'_>) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}
