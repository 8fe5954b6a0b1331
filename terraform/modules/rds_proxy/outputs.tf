output "host" {
  description = "Host name of the proxy. It exists once the proxy has its target."
  value       = aws_db_proxy.this.endpoint

  depends_on = [aws_db_proxy_target.this]
}
