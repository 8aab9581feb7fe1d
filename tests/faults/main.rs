//! Tests of exchange and wallet as two processes, and of everything that may happen to either, or
//! between them. Each module says in its first lines what belongs there.

mod frozen;
mod hang;
mod kills;
mod letters;
mod lost_replies;
mod outage;
mod parallel;
mod power;
