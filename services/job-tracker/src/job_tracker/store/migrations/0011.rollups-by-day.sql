-- Statistics and totals between two days read the rollups of all types and statuses: they lie side by side then.

ALTER TABLE tracker.rollup
    DROP CONSTRAINT rollup_pkey,
    ADD PRIMARY KEY (tenant, account, day, job_type, status);
