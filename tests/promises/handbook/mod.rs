//! The documentation keeps its promises: its links lead somewhere, and its shell blocks run.

mod blocks;
mod links;
mod node;
mod pages;
mod shell;
