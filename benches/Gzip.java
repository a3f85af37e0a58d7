import java.io.IOException;
import java.util.zip.GZIPOutputStream;

/** Compresses standard input as jib compresses layers. */
final class Gzip {
    public static void main(String[] arguments) throws IOException {
        try (GZIPOutputStream gzip = new GZIPOutputStream(System.out)) {
            System.in.transferTo(gzip);
        }
    }
}
