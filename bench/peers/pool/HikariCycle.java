/*
 * HikariCP over a stub driver, as its own benchmark has it.
 *
 *     java -cp HikariCP.jar:slf4j-api.jar:… HikariCycle cycle ROUNDS
 *     java … HikariCycle spike REQUESTS CONNECT_MS WORK_MS MINIMUM MAXIMUM cold|warm
 *
 * Prints what pool_cycle prints: nanoseconds of a cycle on one thread; or connections made, and the
 * median and 99th percentile in milliseconds, with a thread for each request.
 */
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;

public final class HikariCycle {
    private static final int REPEATS = 9;
    private static final AtomicInteger connects = new AtomicInteger();

    private HikariCycle() {}

    private static DataSource source(final long connectMs) {
        final InvocationHandler handler =
                (proxy, method, arguments) -> {
                    if (method.getName().equals("getConnection")) {
                        connects.incrementAndGet();
                        if (connectMs > 0) Thread.sleep(connectMs);
                        return new StubConnection();
                    }
                    return method.getReturnType() == int.class ? 0 : null;
                };
        return (DataSource)
                Proxy.newProxyInstance(
                        HikariCycle.class.getClassLoader(), new Class<?>[] {DataSource.class}, handler);
    }

    private static HikariDataSource pool(final long connectMs, final int minimum, final int maximum) {
        final HikariConfig config = new HikariConfig();
        config.setDataSource(source(connectMs));
        config.setMinimumIdle(minimum);
        config.setMaximumPoolSize(maximum);
        config.setInitializationFailTimeout(-1);
        return new HikariDataSource(config);
    }

    private static void cycle(final int rounds) throws Exception {
        try (HikariDataSource pool = pool(0, 1, 1)) {
            final double[] figures = new double[REPEATS];
            for (int repeat = -2; repeat < REPEATS; repeat++) { // the first two warm it up
                final long begun = System.nanoTime();
                for (int i = 0; i < rounds; i++) pool.getConnection().close();
                if (repeat >= 0) figures[repeat] = (System.nanoTime() - begun) / (double) rounds;
            }
            Arrays.sort(figures);
            System.out.printf("exclusive %.1f%n", figures[REPEATS / 2]);
        }
    }

    private static void spike(final String[] arguments) throws Exception {
        final int requests = Integer.parseInt(arguments[1]);
        final long workMs = Long.parseLong(arguments[3]);
        final int minimum = Integer.parseInt(arguments[4]);
        final boolean isWarm = arguments[6].equals("warm");
        final double[] times = new double[requests];
        final CountDownLatch start = new CountDownLatch(1);
        final Thread[] threads = new Thread[requests];
        final HikariDataSource[] pool = new HikariDataSource[1];
        for (int i = 0; i < requests; i++) {
            final int index = i;
            threads[i] =
                    new Thread(
                            () -> {
                                try {
                                    start.await();
                                    final long since = System.nanoTime();
                                    try (Connection held = pool[0].getConnection()) {
                                        Thread.sleep(workMs);
                                    }
                                    times[index] = (System.nanoTime() - since) / 1e6;
                                } catch (Exception failure) {
                                    throw new IllegalStateException(failure);
                                }
                            });
            threads[i].start();
        }
        pool[0] = pool(Long.parseLong(arguments[2]), minimum, Integer.parseInt(arguments[5]));
        while (isWarm && pool[0].getHikariPoolMXBean().getIdleConnections() < minimum) Thread.sleep(1);
        start.countDown();
        for (final Thread thread : threads) thread.join();
        Arrays.sort(times);
        System.out.printf(
                "%d %.1f %.1f%n",
                connects.get(), times[requests / 2], times[(requests * 99 - 1) / 100]);
        pool[0].close();
    }

    public static void main(final String[] arguments) throws Exception {
        if (arguments[0].equals("cycle")) cycle(Integer.parseInt(arguments[1]));
        else spike(arguments);
    }
}
