// The receiver of the specification (Node.js + Express), but for the port.
const express = require('express');
const app = express();

app.use(express.json());

app.post('/webhook/ocr-wallet', (req, res) => {
  const { event_type, data, metadata } = req.body;

  if (event_type === 'ocr_wallet_data') {
    console.log('收到OCR钱包数据:', JSON.stringify({
      wallet_code: data.wallet_code,
      wx_nick_name: data.wx_nick_name,
      data_age: metadata.data_age_seconds
    }));

    res.status(200).json({ success: true });
  } else {
    res.status(400).json({ error: 'Unknown event type' });
  }
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`port ${server.address().port}`);
});
