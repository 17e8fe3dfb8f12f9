-- Analysis version.
INSERT INTO index_state (id, analysis_version) VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET analysis_version = excluded.analysis_version;
