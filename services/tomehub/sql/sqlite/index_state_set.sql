-- Analysis version.
INSERT OR REPLACE INTO index_state (id, analysis_version) VALUES (1, ?1);
