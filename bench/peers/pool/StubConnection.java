/* A connection that does nothing, well: what a pool costs is not hidden by what is in it. */
import java.sql.*;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executor;

final class StubConnection implements Connection {
    @Override public Statement createStatement() { return null; }
    @Override public PreparedStatement prepareStatement(String p0) { return null; }
    @Override public CallableStatement prepareCall(String p0) { return null; }
    @Override public String nativeSQL(String p0) { return null; }
    @Override public void setAutoCommit(boolean p0) {}
    @Override public boolean getAutoCommit() { return true; }
    @Override public void commit() {}
    @Override public void rollback() {}
    @Override public void close() {}
    @Override public boolean isClosed() { return false; }
    @Override public DatabaseMetaData getMetaData() { return null; }
    @Override public void setReadOnly(boolean p0) {}
    @Override public boolean isReadOnly() { return false; }
    @Override public void setCatalog(String p0) {}
    @Override public String getCatalog() { return null; }
    @Override public void setTransactionIsolation(int p0) {}
    @Override public int getTransactionIsolation() { return 0; }
    @Override public SQLWarning getWarnings() { return null; }
    @Override public void clearWarnings() {}
    @Override public Statement createStatement(int p0, int p1) { return null; }
    @Override public PreparedStatement prepareStatement(String p0, int p1, int p2) { return null; }
    @Override public CallableStatement prepareCall(String p0, int p1, int p2) { return null; }
    @Override public Map<String, Class<?>> getTypeMap() { return null; }
    @Override public void setTypeMap(Map<String, Class<?>> p0) {}
    @Override public void setHoldability(int p0) {}
    @Override public int getHoldability() { return 0; }
    @Override public Savepoint setSavepoint() { return null; }
    @Override public Savepoint setSavepoint(String p0) { return null; }
    @Override public void rollback(Savepoint p0) {}
    @Override public void releaseSavepoint(Savepoint p0) {}
    @Override public Statement createStatement(int p0, int p1, int p2) { return null; }
    @Override public PreparedStatement prepareStatement(String p0, int p1, int p2, int p3) { return null; }
    @Override public CallableStatement prepareCall(String p0, int p1, int p2, int p3) { return null; }
    @Override public PreparedStatement prepareStatement(String p0, int p1) { return null; }
    @Override public PreparedStatement prepareStatement(String p0, int[] p1) { return null; }
    @Override public PreparedStatement prepareStatement(String p0, String[] p1) { return null; }
    @Override public Clob createClob() { return null; }
    @Override public Blob createBlob() { return null; }
    @Override public NClob createNClob() { return null; }
    @Override public SQLXML createSQLXML() { return null; }
    @Override public boolean isValid(int p0) { return true; }
    @Override public void setClientInfo(String p0, String p1) {}
    @Override public void setClientInfo(Properties p0) {}
    @Override public String getClientInfo(String p0) { return null; }
    @Override public Properties getClientInfo() { return null; }
    @Override public Array createArrayOf(String p0, Object[] p1) { return null; }
    @Override public Struct createStruct(String p0, Object[] p1) { return null; }
    @Override public void setSchema(String p0) {}
    @Override public String getSchema() { return null; }
    @Override public void abort(Executor p0) {}
    @Override public void setNetworkTimeout(Executor p0, int p1) {}
    @Override public int getNetworkTimeout() { return 0; }
    @Override public <T> T unwrap(Class<T> p0) { return null; }
    @Override public boolean isWrapperFor(Class<?> p0) { return false; }
}
