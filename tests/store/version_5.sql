-- What the third version of the store wrote: what the second one did, and a migration. Never changed.
PRAGMA journal_mode = WAL;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE key_states (
identity BLOB NOT NULL CHECK (length(identity) = 32),
provider TEXT NOT NULL CHECK (length(CAST(provider AS BLOB)) BETWEEN 1 AND 256),
name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 256),
wish TEXT NOT NULL CHECK (length(wish) BETWEEN 1 AND 32 AND wish NOT GLOB '*[^a-z_]*'),
health TEXT NOT NULL CHECK (length(health) BETWEEN 1 AND 32 AND health NOT GLOB '*[^a-z_]*'),
weight_milli INTEGER NOT NULL CHECK (weight_milli >= 0),
said_milli INTEGER NOT NULL CHECK (said_milli >= 0),
until_us INTEGER NOT NULL CHECK (until_us >= 0),
failures INTEGER NOT NULL CHECK (failures >= 0),
breaker TEXT NOT NULL CHECK (length(breaker) BETWEEN 1 AND 32 AND breaker NOT GLOB '*[^a-z_]*'),
breaker_until_us INTEGER NOT NULL CHECK (breaker_until_us >= 0),
changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
PRIMARY KEY (identity)) STRICT, WITHOUT ROWID;
INSERT INTO key_states VALUES(X'0102030000000000000000000000000000000000000000000000000000000000','openai','main','drained','healthy',0,1000,0,0,'closed',0,1000000000);
INSERT INTO key_states VALUES(X'0405060000000000000000000000000000000000000000000000000000000000','openai','auto-rotate-2','enabled','limited',1000,1000,1795275000000000,2,'half_open',1795275000000000,1000000000);
CREATE TABLE key_asides (
identity BLOB NOT NULL CHECK (length(identity) = 32),
model TEXT NOT NULL CHECK (length(CAST(model AS BLOB)) BETWEEN 1 AND 256),
state TEXT NOT NULL CHECK (length(state) BETWEEN 1 AND 32 AND state NOT GLOB '*[^a-z_]*'),
until_us INTEGER NOT NULL CHECK (until_us >= 0),
PRIMARY KEY (identity, model),
FOREIGN KEY (identity) REFERENCES key_states ON DELETE CASCADE) STRICT, WITHOUT ROWID;
INSERT INTO key_asides VALUES(X'0102030000000000000000000000000000000000000000000000000000000000','o3','limited',1795275000000000);
CREATE TABLE rotations (
seq INTEGER PRIMARY KEY AUTOINCREMENT,
id TEXT NOT NULL CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 256),
provider TEXT NOT NULL CHECK (length(CAST(provider AS BLOB)) BETWEEN 1 AND 256),
predecessor TEXT NOT NULL CHECK (length(CAST(predecessor AS BLOB)) <= 256),
successor TEXT NOT NULL CHECK (length(CAST(successor AS BLOB)) <= 256),
predecessor_id TEXT NOT NULL CHECK (length(CAST(predecessor_id AS BLOB)) <= 520),
successor_id TEXT NOT NULL CHECK (length(CAST(successor_id AS BLOB)) <= 520),
cause TEXT NOT NULL CHECK (length(cause) BETWEEN 1 AND 32 AND cause NOT GLOB '*[^a-z_]*'),
state TEXT NOT NULL CHECK (length(state) BETWEEN 1 AND 32 AND state NOT GLOB '*[^a-z_]*'),
step INTEGER NOT NULL CHECK (step >= 0),
started_us INTEGER NOT NULL CHECK (started_us >= 0),
until_us INTEGER NOT NULL CHECK (until_us >= 0),
ended_us INTEGER NOT NULL CHECK (ended_us >= 0),
reason TEXT NOT NULL CHECK (length(CAST(reason AS BLOB)) <= 512),
UNIQUE (id)) STRICT;
INSERT INTO rotations VALUES(1,'r1','openai','main','auto-rotate-2','key_1','key_2','schedule','draining',0,1795270000000000,1795879800000000,0,'promoted after 10 steps');
CREATE TABLE rotation_moves (
seq INTEGER PRIMARY KEY AUTOINCREMENT,
rotation INTEGER NOT NULL CHECK (rotation >= 0),
at_us INTEGER NOT NULL CHECK (at_us >= 0),
from_state TEXT NOT NULL CHECK (length(from_state) <= 32 AND from_state NOT GLOB '*[^a-z_]*'),
to_state TEXT NOT NULL CHECK (length(to_state) BETWEEN 1 AND 32 AND to_state NOT GLOB '*[^a-z_]*'),
step INTEGER NOT NULL CHECK (step >= 0),
reason TEXT NOT NULL CHECK (length(CAST(reason AS BLOB)) <= 512),
FOREIGN KEY (rotation) REFERENCES rotations (seq) ON DELETE CASCADE) STRICT;
INSERT INTO rotation_moves VALUES(1,1,1795270000000000,'','canary',0,'');
INSERT INTO rotation_moves VALUES(2,1,1795271000000000,'canary','draining',0,'promoted after 10 steps');
CREATE TABLE audit (
seq INTEGER PRIMARY KEY AUTOINCREMENT,
at_us INTEGER NOT NULL CHECK (at_us >= 0),
actor TEXT NOT NULL CHECK (length(CAST(actor AS BLOB)) BETWEEN 1 AND 256),
origin TEXT NOT NULL CHECK (length(CAST(origin AS BLOB)) <= 256),
action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 32 AND action NOT GLOB '*[^a-z_]*'),
provider TEXT NOT NULL CHECK (length(CAST(provider AS BLOB)) <= 256),
key_name TEXT NOT NULL CHECK (length(CAST(key_name AS BLOB)) <= 256),
result TEXT NOT NULL CHECK (length(result) BETWEEN 1 AND 32 AND result NOT GLOB '*[^a-z_]*'),
detail TEXT NOT NULL CHECK (length(CAST(detail AS BLOB)) <= 512),
CHECK (key_name = '' OR provider <> '')) STRICT;
INSERT INTO audit VALUES(1,1795270000000000,'ops','127.0.0.1:40000','rotate','openai','main','done','by hand');
CREATE TABLE meta (
name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32 AND name NOT GLOB '*[^a-z_]*'),
value TEXT NOT NULL CHECK (length(CAST(value AS BLOB)) <= 512),
changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
PRIMARY KEY (name)) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('instance_id','4711',1000000000);
CREATE INDEX rotations_by_provider ON rotations (provider, seq);
CREATE INDEX rotation_moves_by_rotation ON rotation_moves (rotation, seq);
CREATE INDEX audit_by_provider ON audit (provider, seq);
CREATE INDEX audit_by_key ON audit (provider, key_name, seq);
CREATE TABLE migrations (
model TEXT NOT NULL CHECK (length(CAST(model AS BLOB)) BETWEEN 1 AND 256),
from_target TEXT NOT NULL CHECK (length(CAST(from_target AS BLOB)) BETWEEN 1 AND 520),
to_target TEXT NOT NULL CHECK (length(CAST(to_target AS BLOB)) BETWEEN 1 AND 520),
state TEXT NOT NULL CHECK (length(state) BETWEEN 1 AND 32 AND state NOT GLOB '*[^a-z_]*'),
run INTEGER NOT NULL CHECK (run >= 0),
share_ppm INTEGER NOT NULL CHECK (share_ppm >= 0),
reason TEXT NOT NULL CHECK (length(CAST(reason AS BLOB)) <= 512),
note TEXT NOT NULL CHECK (length(note) <= 65536 AND note NOT GLOB '*[^a-z0-9_=:;,./ -]*'),
old_side TEXT NOT NULL CHECK (length(old_side) <= 65536 AND old_side NOT GLOB '*[^a-z0-9_=:;,./ -]*'),
new_side TEXT NOT NULL CHECK (length(new_side) <= 65536 AND new_side NOT GLOB '*[^a-z0-9_=:;,./ -]*'),
changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
PRIMARY KEY (model)) STRICT, WITHOUT ROWID;
INSERT INTO migrations VALUES('chat','legacy/y','new/x','ramping',1,50000,'','migration/1 state=1','side/1 requests=1','',1000000000);
CREATE TABLE migration_moves (
seq INTEGER PRIMARY KEY AUTOINCREMENT,
model TEXT NOT NULL CHECK (length(CAST(model AS BLOB)) BETWEEN 1 AND 256),
run INTEGER NOT NULL CHECK (run >= 0),
at_us INTEGER NOT NULL CHECK (at_us >= 0),
from_state TEXT NOT NULL CHECK (length(from_state) <= 32 AND from_state NOT GLOB '*[^a-z_]*'),
to_state TEXT NOT NULL CHECK (length(to_state) BETWEEN 1 AND 32 AND to_state NOT GLOB '*[^a-z_]*'),
share_ppm INTEGER NOT NULL CHECK (share_ppm >= 0),
reason TEXT NOT NULL CHECK (length(CAST(reason AS BLOB)) <= 512),
CHECK (run >= 0)) STRICT;
INSERT INTO migration_moves VALUES(1,'chat',1,1000000000,'','ramping',50000,'');
CREATE INDEX migration_moves_by_model ON migration_moves (model, seq);
CREATE TABLE client_keys (
id TEXT NOT NULL CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 256),
name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 256),
class TEXT NOT NULL CHECK (length(CAST(class AS BLOB)) BETWEEN 1 AND 256),
digest BLOB NOT NULL CHECK (length(digest) = 32),
rpm INTEGER NOT NULL CHECK (rpm >= 0),
tpm INTEGER NOT NULL CHECK (tpm >= 0),
concurrent INTEGER NOT NULL CHECK (concurrent >= 0),
burst INTEGER NOT NULL CHECK (burst >= 0),
created_us INTEGER NOT NULL CHECK (created_us >= 0),
expires_us INTEGER NOT NULL CHECK (expires_us >= 0),
revoked_us INTEGER NOT NULL CHECK (revoked_us >= 0),
UNIQUE (digest),
PRIMARY KEY (id)) STRICT, WITHOUT ROWID;
INSERT INTO client_keys VALUES('ck_0102030405060708090a0b0c','web','standard',X'0102030000000000000000000000000000000000000000000000000000000000',600,0,50,60,1000000000,1795275000000000,0);
CREATE TABLE client_key_models (
id TEXT NOT NULL CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 256),
place INTEGER NOT NULL CHECK (place >= 0),
model TEXT NOT NULL CHECK (length(CAST(model AS BLOB)) BETWEEN 1 AND 256),
PRIMARY KEY (id, place),
FOREIGN KEY (id) REFERENCES client_keys ON DELETE CASCADE) STRICT, WITHOUT ROWID;
INSERT INTO client_key_models VALUES('ck_0102030405060708090a0b0c',0,'gpt-4.1');
INSERT INTO client_key_models VALUES('ck_0102030405060708090a0b0c',1,'deepseek-*');
CREATE TABLE totals (
kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 32 AND kind NOT GLOB '*[^a-z_]*'),
name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 520),
period TEXT NOT NULL CHECK (length(period) BETWEEN 1 AND 32 AND period NOT GLOB '*[^a-z_]*'),
start_us INTEGER NOT NULL CHECK (start_us >= 0),
sum INTEGER NOT NULL CHECK (sum >= 0),
changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
PRIMARY KEY (kind, name, period, start_us)) STRICT, WITHOUT ROWID;
INSERT INTO totals VALUES('key_nanousd','openai/main','day',86400000000,1500000000,86400000000);
CREATE TABLE uses (
kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 32 AND kind NOT GLOB '*[^a-z_]*'),
name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 520),
period TEXT NOT NULL CHECK (length(period) BETWEEN 1 AND 32 AND period NOT GLOB '*[^a-z_]*'),
start_us INTEGER NOT NULL CHECK (start_us >= 0),
requests INTEGER NOT NULL CHECK (requests >= 0),
input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
cached_tokens INTEGER NOT NULL CHECK (cached_tokens >= 0),
output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens >= 0),
cost_nanousd INTEGER NOT NULL CHECK (cost_nanousd >= 0),
unpriced INTEGER NOT NULL CHECK (unpriced >= 0),
changed_us INTEGER NOT NULL CHECK (changed_us >= 0),
PRIMARY KEY (period, start_us, kind, name)) STRICT, WITHOUT ROWID;
INSERT INTO uses VALUES('client','web','month',86400000000,3,30,10,15,5,1500000000,1,86400000000);
COMMIT;
PRAGMA application_id = 1651990905;
PRAGMA user_version = 5;
