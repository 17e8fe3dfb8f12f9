DELETE FROM index_state;
