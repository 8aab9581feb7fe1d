//! What belongs here: a wallet that is stopped where it stands and goes on later, so that it takes
//! connections and answers late, or to nobody.

use tests::trading::load::Scene;
use tests::trading::pair::{Pair, TRADERS, settings};

const FREEZES: u64 = 6;

#[test]
fn a_wallet_that_stands_still_for_a_while_loses_nothing() {
    // Most freezes last for longer than a call is waited for.
    let settings = settings().with("wallet_client", "timeout", "\"200ms\"");
    let mut pair = Pair::open(settings, false);
    let evidence = pair.under_load(|scene| {
        for number in 1..=FREEZES {
            scene.trade(100);
            scene.pair.wallet.freeze();
            scene.trade(number * 100);
            if number == FREEZES {
                restart_beside_it(scene);
            }
            scene.pair.wallet.thaw();
        }
        scene.trade(100);
    });
    pair.wait_until_drained();
    pair.verdict(&evidence);
}

/// The exchange dies and starts while the wallet stands still.
fn restart_beside_it(scene: &mut Scene<'_>) {
    scene.pair.app.kill();
    scene.venue.close();
    scene.venue.wait_for_silence(TRADERS);
    scene.pair.app.restart();
    scene.open();
    scene.trade(100);
}
