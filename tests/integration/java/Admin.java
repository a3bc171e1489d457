import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** RocketMQ's own mqadmin, many commands in one process: each line of standard input is one, its words separated by US (0x1f). */
public class Admin {
    public static void main(String[] a) throws Exception {
        System.setErr(System.out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            MQAdminStartup.main0(line.split("\u001f", -1), null);
            System.out.println();
            System.out.println("== ok");
        }
        System.exit(0);
    }
}
