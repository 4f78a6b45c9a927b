//! Everything that is tested from outside the crate: one binary, everything on loopback, no network, no sleeps.

mod acts; // resets and their undoing, older epochs, opening balances: in the folder and over HTTP
mod answering; // every way a chat attempt can end, and the record it leaves
mod claude_gemini; // Anthropic and Gemini: what they are sent, what is made of it, their records
mod clients; // the official clients of four APIs, in Python and JavaScript, through the gateway
mod compat; // raymundo's scripts and samples against the answers in its form
mod deliveries; // alerts at places of the owner's: webhook, Slack, Discord, mail
mod docs; // every word about the program, held against the program
mod estimates; // our estimates against real vocabularies, and providers that count otherwise
mod export; // the records themselves: exports, the old viewer, `recent`
mod faults; // rows C, D, E and J of the table of faults, on real disks and with real signals
mod fortnight; // a fortnight of life with a fixed clock, its screens as snapshots
mod gateway; // other programs' calls through the gateway: every API, every byte, every end, one record
mod http_doors; // the REST door of the built program
mod import; // what others recorded, taken over: once, again, grown, damaged
mod import_again; // what is imported again, at once, or by a detour counts once
mod in_process; // the one path of a chat answer, with a clock to choose
mod keys; // keys for programs: added, listed, revoked, and whole in one answer alone
mod kill; // kill -9 at random moments: nothing acknowledged is lost, nothing counts twice
mod layout; // the shape of the source: who imports whom, sizes, words
mod limits; // sixty-four callers against fifteen a minute; days in their own zone; restarts
mod log; // calls told from a shell, with and without a running tallybot
mod models; // `Provider` against scripted servers: every status, every fault, every timeout
mod ollama_client; // the stub, held to the official client
mod openapi; // what /openapi.json says, held to what the program answers
mod pictures; // pictures to models: as each API takes them, estimated, and nowhere else
mod prices; // worked costs in the books, lists of others taken and taken back, calls priced again
mod privacy; // marked secrets through every path of the built program, then everything is searched
mod providers; // model providers that play a script
mod running; // the built program in a folder of its own
mod security; // the page on security: every box has its entry, every entry a test
mod shell; // what the first page promises to whoever types
mod telegram;
mod test_app; // the built binary as others run it
mod three_days; // a Bot API of our own, as strict as the real one, judged by a client that others wrote
mod tower_layer; // a Rust service that meters its own client: unchanged bytes, one record, whatever ends the body
mod verify; // the books checked, repaired and compressed by the built program
mod waiting; // in line at a limit, and another provider in its place
mod wallet; // through the gateway nobody makes the owner pay who may not, or beyond what was allowed
mod who_may_speak; // roles, codes and acts behind the door of the chats, and what admins are told
