-- Says what was put back, until somebody confirms that the world may follow. `null`: nothing waits.
alter table store_meta add column restored text
