-- The tables of pgbench's TPC-B-like load at a tenth of its smallest scale: 1 branch, 10 tellers, 10,000 accounts.
CREATE TABLE pgbench_branches(bid int NOT NULL, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers(tid int NOT NULL, bid int, tbalance int, filler char(84));
CREATE TABLE pgbench_accounts(aid int NOT NULL, bid int, abalance int, filler char(84));
CREATE TABLE pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
INSERT INTO pgbench_branches(bid, bbalance) VALUES (1, 0);
INSERT INTO pgbench_tellers(tid, bid, tbalance) SELECT t, 1, 0 FROM generate_series(1, 10) AS t;
INSERT INTO pgbench_accounts(aid, bid, abalance, filler) SELECT a, 1, 0, '' FROM generate_series(1, 10000) AS a;
ALTER TABLE pgbench_branches ADD PRIMARY KEY (bid);
ALTER TABLE pgbench_tellers ADD PRIMARY KEY (tid);
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
ANALYZE;
